"""Whom and what a choice of settings leaves out in turn: people, and prompts where heads must carry over to new ones.

The people are dealt into disjoint fifths. The prompts lie on a circle, and a fold's new ones are the next NEW_PROMPTS
of it, a fifth of the circle further for each fold, so that with few prompts none decides alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

FOLDS = 5
NEW_PROMPTS = 0.3
"""Share of the prompts that a fold leaves out."""
ENOUGH = 60
"""There are folds until so many people, and with new prompts so many prompts, were left out."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Left out are the ``people`` (P,) bool and the judgments ``new`` (N,) bool, about prompts that nobody taught."""

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
