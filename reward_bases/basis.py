"""The basis: φ(x, y) = (W f(x, y) − μ) / s ∈ R^K, one number per head.

f (F,) are the columns of the sources (``reward_bases/sources``), clipped to the range they had where the heads were
taught, so that no column counts for more than was ever seen. W (K, F) is learned. μ is the mean of W f over the
reference set and s its pooled within-prompt spread, so that every head has the same unit: one spread. Nothing is
rotated; a head keeps its name. ``reward_bases/sources/phi.py`` leads from texts to φ.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from reward_bases.reading_rule import ReadingRule


@dataclass(frozen=True)
class Head:
    """One base reward. ``low`` and ``high`` complete "You prefer … answers".

    ``kind``: ``designed`` (taught by recorded traits of the bank), ``people`` or ``quality`` (learned from people's
    judgments), ``surface`` (a fixed sum of surface features), ``column`` (a fixed sum of columns that a recipe names).
    A ``protected`` head is never personalised.
    """

    name: str
    low: str
    high: str
    kind: str
    protected: bool
    description: str


@dataclass(frozen=True)
class Basis:
    """Heads with their constants, all float64.

    ``components`` (p, d); ``lowest`` and ``highest`` (F,), the range of each column; ``weights`` W (K, F); ``mean`` μ
    and ``spread`` s (K,); ``ensemble`` (S, K, F), W refitted on bootstrap samples of people, S = 0 without them;
    ``reading``, what of a response its columns are computed from.
    """

    version: str
    encoder_name: str
    encoder_sha256: str
    heads: tuple[Head, ...]
    components: Tensor
    lowest: Tensor
    highest: Tensor
    weights: Tensor
    mean: Tensor
    spread: Tensor
    ensemble: Tensor = field(default_factory=lambda: torch.zeros(0, 0, 0, dtype=torch.float64))
    reading: ReadingRule = field(default=ReadingRule.WRITTEN, kw_only=True)

    @property
    def k(self) -> int:
        return len(self.heads)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(head.name for head in self.heads)

    @property
    def phrases(self) -> tuple[tuple[str, str], ...]:
        return tuple((head.low, head.high) for head in self.heads)

    @property
    def protected(self) -> tuple[bool, ...]:
        return tuple(head.protected for head in self.heads)

    def clipped(self, columns: Tensor) -> Tensor:
        """Columns (n, F) within the range that taught the heads."""
        return columns.clamp(self.lowest, self.highest)

    def phi(self, columns: Tensor) -> Tensor:
        """φ (n, K) float64 of columns (n, F)."""
        return self.standardise(self.clipped(columns) @ self.weights.T)

    def refits(self, columns: Tensor) -> Tensor:
        """φ (n, S, K) of columns (n, F) by each of the ensemble's heads."""
        heads = self.ensemble.reshape(-1, *self.weights.shape)
        return self.standardise(torch.einsum("nf,skf->nsk", self.clipped(columns), heads))

    def standardise(self, raw: Tensor) -> Tensor:
        """(h − μ)/s for raw head values h (…, K)."""
        return (raw - self.mean) / self.spread
