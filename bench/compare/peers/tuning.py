"""The choice of the peers' settings: like Keel's, by training people left out, never by the people of the benchmark.

If items are known by their features, a share of the training prompts is left out as well. Nothing is learned from
judgments about them, and only these are predicted, so that settings which memorise the training prompts lose.
The folds are those by which Keel chooses. Every held-out answer counts the same, whichever fold it is from. One setting
after the other is varied over its grid; cheaper peers do so twice. Joint fits take fewer iterations meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from bench.compare.peers.answers import Answers
from bench.compare.world import World
from elicitation.crowd import rank_within
from reward_bases.train.validate.folds import folds

ANSWERS, ANSWER_DRAWS = 10, 2
"""No fewer than Keel gets in ``reward_bases.train.validate.choose``; VPL, the slowest, rehearses four folds at most."""

Reader = Callable[[Answers], Tensor]
"""Everybody's answers so far -> everybody's weights (P, F) on the features, in nats."""
SettingsT = TypeVar("SettingsT", bound=Any)
"""A frozen dataclass."""


@dataclass(frozen=True, eq=False)
class Split:
    """``learn``: answers of most people; ``observed`` and ``held_out``: those of the people left out."""

    learn: Answers
    observed: Answers
    held_out: Answers

    def log_likelihood(self, read: Reader) -> float:
        """Summed log-likelihood of the held-out answers, nats."""
        return float(self.held_out.log_likelihood(self.held_out.utilities(read(self.observed))).sum())


def splits(world: World) -> tuple[Split, ...]:
    """One per fold of the training people; seeded."""
    answers, generator = Answers.of_training(world), torch.Generator().manual_seed(world.seed)
    parts = folds(answers.size, answers.people, world.train.prompts, not world.by_heart, generator)
    return tuple(split(answers, part.people, part.new if part.new.any() else None, generator) for part in parts)


def split(answers: Answers, left_out: Tensor, withheld: Tensor | None, generator: torch.Generator) -> Split:
    """A split over people, ``left_out`` (P,) bool; ties are observed but not predicted.

    Answers ``withheld`` (N,) bool are neither learned from nor observed, and they alone are predicted; with None, the
    answers not observed are predicted. Up to ANSWERS are observed, at most half. They are drawn ANSWER_DRAWS times, as
    if by different people.
    """
    known = answers if withheld is None else answers.where(~withheld)
    people = left_out.nonzero().squeeze(-1)
    asked = known.of(people).repeated(ANSWER_DRAWS)
    place = rank_within(asked.people, torch.rand(len(asked), generator=generator))
    counts = torch.bincount(asked.people, minlength=asked.size)
    observed = place < torch.clamp(counts // 2, max=ANSWERS)[asked.people]
    held_out = asked.where(~observed) if withheld is None else answers.where(withheld).of(people).repeated(ANSWER_DRAWS)
    learning = known.of((~left_out).nonzero().squeeze(-1))
    return Split(learning.compact(), asked.where(observed).compact(), held_out.decided().compact())


def rehearse(parts: Sequence[Split], learn: Callable[[Answers], Reader]) -> float:
    """Mean log-likelihood, nats, of the held-out answers of all ``parts`` by what is learned from each."""
    total = sum(part.log_likelihood(learn(part.learn)) for part in parts)
    return total / max(1, sum(len(part.held_out) for part in parts))


def tuned(
    start: SettingsT, grids: Mapping[str, Sequence[float]], value: Callable[[SettingsT], float], rounds: int = 1
) -> SettingsT:
    """The settings of highest ``value`` that varying one after the other, in the order of ``grids``, comes to."""
    known: dict[SettingsT, float] = {}

    def remembered(settings: SettingsT) -> float:
        if settings not in known:
            known[settings] = value(settings)
        return known[settings]

    best = start
    for _ in range(rounds):
        for name, grid in grids.items():
            best = max((replace(best, **{name: choice}) for choice in grid), key=remembered)
    return best
