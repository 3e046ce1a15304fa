"""Judgments that real people made, divided into what teaches, what is asked and what is tested."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.compare.world import NOBODY, HeldOut, Judgments, Pairs, World
from elicitation.choice import Outcomes
from reward_bases.train.data.layouts import Kind
from reward_bases.train.data.reading import Data

SAME = 1
"""The column of a tie or a pass."""


@dataclass(frozen=True, eq=False)
class Division:
    """Of N judgments, those that ``teach``, are ``asked`` and are ``tested``: (N,) bool each, no judgment in two."""

    teach: Tensor
    asked: Tensor
    tested: Tensor

    @property
    def held_out(self) -> Tensor:
        return self.asked | self.tested


def judgments(data: Data) -> Judgments:
    """What was read; the prompt of a vote is the statement itself."""
    prompts = data.left if data.kind == Kind.VOTES else data.prompts
    return Judgments(Pairs(data.left, data.right), data.people, prompts, data.outcomes, len(data.user_ids))


def random_sides(judged: Judgments, generator: torch.Generator) -> Judgments:
    """The same judgments with the sides of half of the pairs exchanged; votes have no sides."""
    left, right = judged.pairs.left, judged.pairs.right
    swap = (torch.rand(len(left), generator=generator) < 0.5) & (right != NOBODY)
    said = judged.outcomes
    outcomes = Outcomes(
        torch.where(swap, 2 - said.column, said.column), torch.where(swap, -said.towards, said.towards), said.strength
    )
    pairs = Pairs(torch.where(swap, right, left), torch.where(swap, left, right))
    return Judgments(pairs, judged.people, judged.prompts, outcomes, judged.size)


def count(judged: Judgments, rows: Tensor) -> Tensor:
    """How many of ``rows`` (N,) bool each person has: (P,)."""
    return torch.bincount(judged.people[rows], minlength=judged.size)


def drawn(eligible: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """At most ``most`` of the people ``eligible`` (P,) bool, at random: (P,) bool."""
    people = torch.nonzero(eligible).flatten()
    chosen = torch.zeros_like(eligible)
    chosen[people[torch.randperm(len(people), generator=generator)[:most]]] = True
    return chosen


def world(
    name: str,
    seed: int,
    features: Tensor,
    length: int | None,
    judged: Judgments,
    division: Division,
    served: Pairs,
    fold: int = 0,
    texts: tuple[tuple[str, str], ...] | None = None,
) -> World:
    """The world of ``judged``, sorted by person; held out is who is tested, by their number in ``judged``."""
    tested = judged.people[division.tested].unique().tolist()
    people = tuple(_held_out(judged, division, person) for person in tested)
    return World(name, seed, features, _taught(judged, division.teach), people, served, length, fold, texts)


def _taught(judged: Judgments, rows: Tensor) -> Judgments:
    people, renumbered = judged.people[rows].unique(return_inverse=True)
    return Judgments(judged.pairs[rows], renumbered, judged.prompts[rows], _where(judged.outcomes, rows), len(people))


def _held_out(judged: Judgments, division: Division, person: int) -> HeldOut:
    own = judged.people == person
    asked, tested = division.asked & own, division.tested & own
    return HeldOut(
        judged.pairs[asked],
        judged.prompts[asked],
        _where(judged.outcomes, asked),
        judged.pairs[tested],
        judged.outcomes.towards[tested] > 0,
        person,
    )


def _where(outcomes: Outcomes, rows: Tensor) -> Outcomes:
    return Outcomes(outcomes.column[rows], outcomes.towards[rows], outcomes.strength[rows])
