"""Features of items as rows of one NumPy file, read where they lie: a table larger than memory costs what is looked at.

The file is (M, F): float32 where it was built, any real numbers where it was given.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elicitation.checks import require_finite
from elicitation.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """(M, F) real numbers on disk."""

    path: Path
    values: NDArray[Any]

    @classmethod
    def open(cls, path: Path) -> "FeatureTable":
        """Raises InvalidInput unless ``path`` is an .npy file of a matrix of real numbers."""
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{path.name} is not a table of features: {error}; save one with numpy.save") from None
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            raise InvalidInput(
                f"{path.name} holds {values.dtype} of shape {values.shape}; "
                "it needs real numbers of shape items x features"
            )
        return cls(path, values)

    def __len__(self) -> int:
        """Number of items M."""
        return len(self.values)

    @property
    def shape(self) -> tuple[int, int]:
        """(M, F)."""
        return (self.values.shape[0], self.values.shape[1])

    def rows(self, index: Tensor) -> Tensor:
        """Features (n, F) float64 of the items ``index`` (n,) long; raises InvalidInput for one outside the table."""
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(self):
            raise InvalidInput(
                f"items {int(index.min())} to {int(index.max())} of {self.path.name}; "
                f"it has the rows 0 to {len(self) - 1}"
            )
        found = torch.from_numpy(self.values[index.numpy()].astype(np.float64))
        require_finite(f"{self.path.name}: features", found)
        return found
