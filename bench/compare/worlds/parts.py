"""The three disjoint parts of the prompts of a world."""

from collections.abc import Mapping

import torch
from torch import Tensor

TRAIN, QUESTIONS, TARGETS = 0, 1, 2


def parted(count: int, shares: Mapping[int, int], generator: torch.Generator) -> Tensor:
    """The part (count,) of each of ``count`` prompts, at random in the ratio ``shares``: part -> share."""
    parts = torch.tensor([part for part, share in shares.items() for _ in range(share)])
    even = torch.arange(count) * len(parts) // count
    return parts[even][torch.randperm(count, generator=generator)]
