"""A figure with its bootstrap interval."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: Tensor) -> "Interval":
        """From draws (1 + R,): the first that of everybody, the others of resampled people, NaN where undefined."""
        low, high = draws[1:].nanquantile(torch.tensor([0.025, 0.975], dtype=draws.dtype)).tolist()
        return cls(float(draws[0]), low, high)
