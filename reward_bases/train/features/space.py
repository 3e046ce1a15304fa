"""Features as the learner sees them: clipped to what was seen, centred, in spreads between judged responses.

Everything is measured in blocks of rows; a table on disk is never read whole, but kept in memory where it fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.checks import require_finite
from reward_bases.train.data.judgments import NOBODY, InMemory, Judgments, Rows

BLOCK = 16_384
IN_MEMORY = 2**27
"""Most numbers of a table kept in memory, 1 GiB."""
STILL = 1e-9
"""A feature whose spread is less never varies; it is left as it is."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """Rows (M, F) of ``table`` clipped to ``lowest`` and ``highest``, less ``centre``, over ``scale``, all (F,).

    With ``constant``, which votes need, a feature follows that is 1 for every item.
    """

    table: Rows
    lowest: Tensor
    highest: Tensor
    centre: Tensor
    scale: Tensor
    constant: bool

    @property
    def shape(self) -> tuple[int, int]:
        return (self.table.shape[0], self.table.shape[1] + self.constant)

    def clipped(self, index: Tensor) -> Tensor:
        """Features (n, F) as a basis reads them."""
        return self.table.rows(index).clamp(self.lowest, self.highest)

    def rows(self, index: Tensor) -> Tensor:
        found = (self.clipped(index) - self.centre) / self.scale
        return torch.cat([found, torch.ones(len(found), 1, dtype=found.dtype)], dim=1) if self.constant else found

    def seen(self, weights: Tensor) -> Tensor:
        """Weights (K, F) on clipped features as weights on the learner's features."""
        seen = weights * self.scale
        return torch.cat([seen, torch.zeros(len(seen), 1, dtype=seen.dtype)], dim=1) if self.constant else seen

    def raw(self, heads: Tensor) -> Tensor:
        """Heads (…, F) on the learner's features as weights on clipped features, without the constant."""
        return heads[..., : len(self.scale)] / self.scale


def seen_range(judged: Judgments, also: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest features (F,) of the items that ``judged`` names and of ``also`` (n, F)."""
    lowest, highest = also.amin(0), also.amax(0)
    for rows in _blocks(judged):
        lowest, highest = torch.minimum(lowest, rows.amin(0)), torch.maximum(highest, rows.amax(0))
    return lowest, highest


def scaled(judged: Judgments, lowest: Tensor, highest: Tensor) -> Scaled:
    """Clipped to a range (F,); centre and scale are measured on what ``judged`` names.

    The scale is the spread between the responses of a pair or, of votes, between statements.
    """
    centre, count = torch.zeros_like(lowest), 0
    for rows in _blocks(judged):
        centre, count = centre + rows.sum(0), count + len(rows)
    centre = centre / count
    votes = judged.votes
    square = torch.zeros_like(centre)
    for _, x in judged.blocks():
        square += ((x - centre).square() if votes else x.square() / 2).sum(0)
    scale = (square / len(judged)).sqrt()
    scale = torch.where(scale > STILL, scale, torch.ones_like(scale))
    require_finite("spread of features", scale)
    return Scaled(judged.items, lowest, highest, centre, scale, votes)


def held(rows: Rows) -> Rows:
    """The rows in memory, if they fit."""
    count, width = rows.shape
    if count * width > IN_MEMORY:
        return rows
    values = torch.empty(count, width, dtype=torch.float64)
    for first in range(0, count, BLOCK):
        index = torch.arange(first, min(first + BLOCK, count))
        values[index] = rows.rows(index)
    return InMemory(values)


def _blocks(judged: Judgments) -> Iterator[Tensor]:
    items = torch.cat([judged.left, judged.right]).unique()
    for part in items[items != NOBODY].split(BLOCK):
        yield judged.items.rows(part)
