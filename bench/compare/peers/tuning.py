"""How the peers' settings are chosen: like Keel's, by training people left out, never by the people of the benchmark.

Where items are known by their features, a share of the training prompts is left out as well: nothing is learned from
judgments about them, and only these are predicted, so that settings which know the training prompts by heart lose.
The folds are those by which Keel chooses. One setting after the other is varied over its grid, twice by the cheaper
peers; joint fits take fewer iterations meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, TypeVar

import torch
from torch import Tensor

from bench.compare.peers.answers import Answers
from bench.compare.world import World
from elicitation.crowd import rank_within
from reward_bases.train.validate.folds import folds

ANSWERS, READINGS = 10, 2
"""No fewer than Keel gets in ``reward_bases.train.validate.choose``; VPL, the slowest, rehearses two folds at most."""

Reader = Callable[[Answers], Tensor]
"""Everybody's answers so far -> everybody's weights (P, F) on the features, in nats."""
Settings = TypeVar("Settings", bound=Any)
"""A frozen dataclass."""


@dataclass(frozen=True, eq=False)
class Split:
    """``learn``: four fifths of the people; ``told`` and ``kept``: answers of the others, to be read and predicted."""

    learn: Answers
    told: Answers
    kept: Answers

    def score(self, read: Reader) -> float:
        """Mean log-likelihood of the answers kept, nats."""
        return float(self.kept.log_likelihood(self.kept.utilities(read(self.told))).mean())


def splits(world: World) -> tuple[Split, ...]:
    """One per fold of the training people; seeded."""
    answers, generator = Answers.of_training(world), torch.Generator().manual_seed(world.seed)
    parts = folds(answers.size, world.train.prompts, not world.by_heart, generator)
    return tuple(split(answers, part.people, None if world.by_heart else part.new, generator) for part in parts)


def split(answers: Answers, left_out: Tensor, withheld: Tensor | None, generator: torch.Generator) -> Split:
    """A split over people, ``left_out`` (P,) bool; ties are told but not predicted.

    Answers ``withheld`` (N,) bool teach and tell nothing, and they alone are predicted; where None, the answers not
    told are predicted. Up to ANSWERS are told, at most half, drawn anew READINGS times, as if by different people.
    """
    known = answers if withheld is None else answers.where(~withheld)
    people = left_out.nonzero().squeeze(-1)
    asked = known.of(people).repeated(READINGS)
    place = rank_within(asked.people, torch.rand(len(asked), generator=generator))
    counts = torch.bincount(asked.people, minlength=asked.size)
    told = place < torch.clamp(counts // 2, max=ANSWERS)[asked.people]
    kept = asked.where(~told) if withheld is None else answers.where(withheld).of(people).repeated(READINGS)
    learning = known.of((~left_out).nonzero().squeeze(-1))
    return Split(learning.compact(), asked.where(told).compact(), kept.decided().compact())


def rehearse(parts: Sequence[Split], learn: Callable[[Answers], Reader]) -> float:
    """Mean score over the ``parts`` of what is learned from each."""
    return fmean(part.score(learn(part.learn)) for part in parts)


def tuned(
    start: Settings, grids: Mapping[str, Sequence[float]], value: Callable[[Settings], float], rounds: int = 1
) -> Settings:
    """The settings of highest ``value`` that varying one after the other, in the order of ``grids``, comes to."""
    known: dict[Settings, float] = {}

    def remembered(settings: Settings) -> float:
        if settings not in known:
            known[settings] = value(settings)
        return known[settings]

    best = start
    for _ in range(rounds):
        for name, grid in grids.items():
            best = max((replace(best, **{name: choice}) for choice in grid), key=remembered)
    return best
