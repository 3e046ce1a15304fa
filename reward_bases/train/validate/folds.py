"""Folds for the choice of settings: people and, if heads must carry over to new prompts, prompts left out in turn.

The people are divided at random into disjoint fifths. The prompts lie on a circle in random order. A fold leaves out
the share NEW_PROMPTS of the circle, starting a fifth of it further than the fold before. With few prompts none decides
alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

FOLDS = 5
NEW_PROMPTS = 0.3
"""Share of the prompts that a fold leaves out."""
ENOUGH = 60
"""Folds are added until so many people, and with new prompts so many prompts, were left out."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The ``people`` (P,) bool left out, and the judgments ``new`` (N,) bool about prompts left out."""

    people: Tensor
    new: Tensor


def folds(people: int, prompts: Tensor, new_prompts: bool, generator: torch.Generator) -> list[Fold]:
    """At most FOLDS of so many people, whose judgments are about ``prompts`` (N,)."""
    fifth = torch.randperm(people, generator=generator) % FOLDS
    known, number = prompts.unique(return_inverse=True)
    place = torch.randperm(len(known), generator=generator)[number].double() / max(1, len(known))
    fewest = min(people, len(known)) if new_prompts else people
    count = min(FOLDS, -(-ENOUGH * FOLDS // max(1, fewest)))
    return [Fold(fifth == part, ((place - part / FOLDS) % 1 < NEW_PROMPTS) & new_prompts) for part in range(count)]
