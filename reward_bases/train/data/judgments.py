"""Judgments of many people beside the features of what they judged, streamed in blocks.

The features may lie in memory or, mapped, on disk; nothing here holds more of their differences than one block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from elicitation.checks import require_shape
from elicitation.choice import Outcomes
from elicitation.crowd import Crowd
from elicitation.errors import InvalidInput

NOBODY = -1
"""The ``right`` of a vote, which judges one item alone: its features count as zero."""
BLOCK = 65_536


class Rows(Protocol):
    """Features of M items: (M, F)."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def rows(self, index: Tensor) -> Tensor:
        """float64 (n, F) for items ``index`` (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class InMemory:
    """Features (M, F) float64 as a tensor."""

    features: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        return (self.features.shape[0], self.features.shape[1])

    def rows(self, index: Tensor) -> Tensor:
        return self.features.index_select(0, index)


@dataclass(frozen=True, eq=False)
class Judgments:
    """N judgments of P people, sorted by person.

    ``left`` and ``right`` (N,) number items of ``items`` (right may be NOBODY), ``people`` (N,) lie in 0…P−1 = size−1,
    ``prompts`` (N,) number what was asked. Raises InvalidInput when sizes disagree or people are not sorted.
    """

    items: Rows
    left: Tensor
    right: Tensor
    people: Tensor
    prompts: Tensor
    outcomes: Outcomes
    size: int

    def __post_init__(self) -> None:
        for name in ("right", "people", "prompts"):
            require_shape(name, getattr(self, name), (len(self.left),))
        if bool((self.people.diff() < 0).any()):
            raise InvalidInput(f"{len(self.people)} judgments are not sorted by person; sort them first")

    def __len__(self) -> int:
        return len(self.left)

    @property
    def width(self) -> int:
        """Number of features F."""
        return self.items.shape[1]

    @property
    def votes(self) -> bool:
        """Whether some judgments are votes."""
        return bool((self.right == NOBODY).any())

    @property
    def opinions(self) -> "Judgments":
        """Without passed votes: who passes on a statement says nothing of it; who calls two responses equal does."""
        return self.where((self.outcomes.ties == 0) | (self.right != NOBODY)) if self.votes else self

    def where(self, rows: Tensor) -> "Judgments":
        """The judgments selected by ``rows`` (bool (N,) or ascending indices), of the same people."""
        return Judgments(
            self.items,
            self.left[rows],
            self.right[rows],
            self.people[rows],
            self.prompts[rows],
            self.outcomes[rows],
            self.size,
        )

    def of_people(self, chosen: Tensor) -> "Judgments":
        """The judgments of the people ``chosen`` (bool (P,)), renumbered in their order."""
        part = self.where(chosen[self.people])
        number = torch.cumsum(chosen.long(), 0) - 1
        return Judgments(
            part.items, part.left, part.right, number[part.people], part.prompts, part.outcomes, int(chosen.sum())
        )

    def slices(self) -> Iterator[slice]:
        """Blocks of judgments, in order."""
        return blocks_of(len(self))

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """(rows, differences of features (n, F) float64 of those judgments), in order."""
        for rows in self.slices():
            left, right = self.items.rows(self.left[rows]), self.right[rows]
            compared = (right != NOBODY)[:, None]
            yield rows, torch.where(compared, left - self.items.rows(right.clamp_min(0)), left)

    def values(self, heads: Tensor) -> Tensor:
        """Values (M, K) of ``heads`` (K, F) on all items."""
        values = torch.empty(self.items.shape[0], len(heads), dtype=torch.float64)
        for rows in blocks_of(len(values)):
            values[rows] = self.items.rows(torch.arange(rows.start, rows.stop)) @ heads.T
        return values

    def pulled_back(self, gradient: Tensor) -> Tensor:
        """The gradient (K, F) with respect to heads, from that (M, K) with respect to their values."""
        total = torch.zeros(gradient.shape[1], self.width, dtype=torch.float64)
        for rows in blocks_of(len(gradient)):
            total += gradient[rows].T @ self.items.rows(torch.arange(rows.start, rows.stop))
        return total

    def differences(self, values: Tensor, rows: slice) -> Tensor:
        """Values (M, K) of left minus right (n, K) in the judgments ``rows``."""
        left, right = values.index_select(0, self.left[rows]), self.right[rows]
        compared = (right != NOBODY)[:, None]
        return torch.where(compared, left - values.index_select(0, right.clamp_min(0)), left)

    def add_slopes(self, values: Tensor, differences: Tensor, rows: slice) -> None:
        """To the slopes (M, K) by ``values``, in place, those (n, K) by their ``differences`` in the judgments."""
        compared = self.right[rows] != NOBODY
        values.index_add_(0, self.left[rows], differences)
        values.index_add_(0, self.right[rows][compared], -differences[compared])

    def crowd(self, heads: Tensor) -> Crowd:
        """The judgments in base rewards: differences of ``heads`` (K, F) times features."""
        differences = self.differences(self.values(heads), slice(0, len(self)))
        return Crowd(differences, self.people, self.outcomes, self.size)


def blocks_of(length: int) -> Iterator[slice]:
    """Consecutive slices of at most BLOCK rows."""
    for first in range(0, length, BLOCK):
        yield slice(first, min(first + BLOCK, length))
