"""Folds for the choice of settings: people and, if heads must carry over to new prompts, prompts left out in turn.

Data are few, so a fold leaves out little: what it learns from is then almost what the final fit learns from. The people
are divided at random into FOLDS disjoint groups, and a fold leaves out one of them. The prompts lie on a circle in
random order. A fold leaves out an arc of it: the share NEW_PROMPTS, but at least one prompt. Each arc starts a tenth of
the circle further than the one before, so that all folds together leave out every prompt. With few prompts none decides
alone.

A fold is worth something only if there are judgments to predict and judgments to learn from. Others are left out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.errors import InvalidInput

FOLDS = 10
NEW_PROMPTS = 0.15
"""Share of the prompts that a fold leaves out."""
FEWEST_FOLDS = 2
"""So that no single fold decides."""
ENOUGH = 60
"""Folds are added until so many people, and with new prompts so many prompts, were left out."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The ``people`` (P,) bool left out, and the judgments ``new`` (N,) bool about prompts left out.

    If no judgment is new, the fold predicts the people left out on the prompts that it learned from.
    """

    people: Tensor
    new: Tensor

    def divides(self, people: Tensor) -> bool:
        """Whether, of judgments by ``people`` (N,), there are some to predict and some to learn from."""
        own, apart = self.people[people], bool(self.new.any())
        return bool((own & (self.new | (not apart))).any()) and bool((~own & ~self.new).any())


def folds(size: int, people: Tensor, prompts: Tensor, new_prompts: bool, generator: torch.Generator) -> list[Fold]:
    """At most FOLDS of ``size`` people, whose judgments are by ``people`` (N,) and about ``prompts`` (N,).

    Prompts are left out with ``new_prompts``, unless no fold would then have anything to predict or to learn from.
    Raises InvalidInput if too few people judged for any fold.
    """
    group = torch.randperm(size, generator=generator) % FOLDS
    arcs, number = _arcs(prompts, generator)
    tried = [(arcs, min(size, number))] if new_prompts else []
    for new, fewest in [*tried, (torch.zeros_like(arcs), size)]:
        every = (Fold(group == part, new[part]) for part in range(FOLDS))
        if found := [fold for fold in every if fold.divides(people)]:
            return found[: _enough(fewest)]
    raise InvalidInput(
        f"{len(people.unique())} people judged; some are left out to choose settings, so give more people"
    )


def _arcs(prompts: Tensor, generator: torch.Generator) -> tuple[Tensor, int]:
    """Which judgments (FOLDS, N) each fold's arc has, from their ``prompts`` (N,), and the number of prompts."""
    known, number = prompts.unique(return_inverse=True)
    place = torch.randperm(len(known), generator=generator)[number]
    # In whole numbers, lest rounding leave an arc of one prompt without any.
    circle, starts = FOLDS * len(known), len(known) * torch.arange(FOLDS)[:, None]
    return (FOLDS * place - starts) % max(1, circle) < max(NEW_PROMPTS * circle, FOLDS), len(known)


def _enough(fewest: int) -> int:
    """How many folds leave out ENOUGH of ``fewest`` people or prompts, a tenth each."""
    return max(FEWEST_FOLDS, min(FOLDS, -(-ENOUGH * FOLDS // max(1, fewest))))
