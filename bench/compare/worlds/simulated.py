"""People whose tastes are weights on recorded traits: what they answer, and what they prefer undisturbed.

Answers follow the rule of ``elicitation.simulate``; labels of targets are the sign of the utility difference, and
pairs that leave a person indifferent are no targets of theirs. No taste ever sees a feature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from bench.compare.policy import worth_of
from bench.compare.world import HeldOut, Judgments, Menus, Pairs, World
from bench.compare.worlds.parts import QUESTIONS, TARGETS, TRAIN
from elicitation.choice import Outcomes
from elicitation.simulate import LAPSE, REPEAT, repeat_rate

INDIFFERENT = 1e-9
STEEPEST = 1e3
BISECTIONS = 50


@dataclass(frozen=True, eq=False)
class Stage:
    """N pairs of responses to one prompt each, with random sides.

    ``features`` (M, F) of the responses, ``length`` the column that counts length; per pair ``gaps`` (N, T), trait
    levels of left minus right, ``prompts`` (N,) and ``parts`` (N,), the part its prompt belongs to. ``levels`` (M, T)
    of each response are None where two responses can be compared in a trait, but one alone has no level.
    """

    features: Tensor
    length: int | None
    pairs: Pairs
    gaps: Tensor
    prompts: Tensor
    parts: Tensor
    levels: Tensor | None = None

    def menus(self, own: Tensor) -> Menus | None:
        """The responses to the target prompts, worth what they are to somebody with the weights ``own`` (T,)."""
        if self.levels is None:
            return None
        rows = self.parts == TARGETS
        sides = torch.stack([self.pairs.left[rows], self.pairs.right[rows]])
        items, place = sides.unique(return_inverse=True)
        prompts = torch.zeros_like(items).index_put((place,), self.prompts[rows].expand_as(place))
        return Menus(items, prompts, worth_of(self.levels[items] @ own, prompts))


@dataclass(frozen=True)
class Design:
    """How much is asked: ``answers`` per training person on ``shared`` pairs, and at most ``targets`` per person."""

    answers: int
    shared: int
    targets: int


def within_prompts(prompts: Tensor, generator: torch.Generator) -> Pairs:
    """All pairs of responses that share a prompt, ``prompts`` (M,) being each response's; random sides."""
    groups = [torch.nonzero(prompts == prompt).flatten().tolist() for prompt in prompts.unique()]
    rows = torch.tensor([pair for group in groups for pair in combinations(group, 2)])
    swapped = torch.rand(len(rows), generator=generator) < 0.5
    rows[swapped] = rows[swapped].flip(1)
    return Pairs(rows[:, 0], rows[:, 1])


def calibrated(weights: Tensor, gaps: Tensor) -> Tensor:
    """``weights`` (P, T) scaled so that everybody repeats REPEAT of their choices among the pairs ``gaps`` (N, T) that
    they are not indifferent to."""
    return torch.stack([_scale(gaps @ own) * own for own in weights])


def _scale(utilities: Tensor) -> float:
    low, high = 0.0, STEEPEST
    decided = utilities[utilities.abs() > INDIFFERENT]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if repeat_rate(middle * decided) < REPEAT else (low, middle)
    return high


def world(
    name: str,
    seed: int,
    stage: Stage,
    teachers: Tensor,
    tastes: Mapping[int, Tensor],
    design: Design,
    generator: torch.Generator,
) -> World:
    """One world: training people with weights ``teachers`` (P, T), held-out people with weights ``tastes`` (T,) by
    their number; these share one pool."""
    asked = torch.nonzero(stage.parts == QUESTIONS).flatten()
    pool = stage.pairs[asked]
    return World(
        name,
        seed,
        stage.features,
        _train(stage, teachers, design, generator),
        tuple(_held_out(stage, asked, pool, number, own, design, generator) for number, own in tastes.items()),
        stage.pairs[stage.parts == TRAIN],
        stage.length,
    )


def _train(stage: Stage, teachers: Tensor, design: Design, generator: torch.Generator) -> Judgments:
    shared = _sample(torch.nonzero(stage.parts == TRAIN).flatten(), design.shared, generator)
    rows = torch.stack([_sample(shared, design.answers, generator) for _ in teachers])
    utilities = torch.einsum("pnt,pt->pn", stage.gaps[rows], teachers)
    people = torch.arange(len(teachers))[:, None].expand_as(rows)
    outcomes = answers(utilities.flatten(), generator)
    flat = rows.flatten()
    return Judgments(stage.pairs[flat], people.flatten(), stage.prompts[flat], outcomes, len(teachers))


def _held_out(
    stage: Stage, asked: Tensor, pool: Pairs, number: int, own: Tensor, design: Design, generator: torch.Generator
) -> HeldOut:
    utilities = stage.gaps @ own
    decided = torch.nonzero((stage.parts == TARGETS) & (utilities.abs() > INDIFFERENT)).flatten()
    targets = _sample(decided, design.targets, generator)
    return HeldOut(
        pool,
        stage.prompts[asked],
        answers(utilities[asked], generator),
        stage.pairs[targets],
        utilities[targets] > 0,
        number,
        stage.menus(own),
    )


def answers(utilities: Tensor, generator: torch.Generator) -> Outcomes:
    """What is answered at utility differences (N,), nats: left or right, with lapses."""
    p_left = (1 - LAPSE) * torch.sigmoid(utilities) + LAPSE / 2
    left = torch.rand(len(utilities), generator=generator, dtype=torch.float64) < p_left
    towards = 2.0 * left.double() - 1
    return Outcomes((~left).long() * 2, towards, torch.zeros_like(towards))


def _sample(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """At most ``count`` of ``rows``, at random."""
    return rows[torch.randperm(len(rows), generator=generator)[:count]]
