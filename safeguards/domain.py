"""Region of the reference set; a response far from it is out of domain."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.norms import norm, quadratic_form


@dataclass(frozen=True, eq=False)
class Domain:
    """Region of the reference: φ is in the domain unless φᵀS⁻¹φ exceeds that of every reference response."""

    precision: Tensor
    farthest: float

    @classmethod
    def of(cls, reference: Tensor) -> "Domain":
        """From the reference rows (P, n, K)."""
        rows = reference.flatten(0, 1)
        precision = torch.linalg.pinv(rows.T @ rows / len(rows), hermitian=True)
        return cls(precision, float(quadratic_form(rows, precision).max()))

    def holds(self, phi: Tensor) -> list[bool]:
        """For each row of ``phi`` (n, K)."""
        inside: list[bool] = (quadratic_form(phi, self.precision) <= self.farthest).tolist()
        return inside

    def distances(self, phi: Tensor) -> Tensor:
        """√(φᵀS⁻¹φ) (n,) of the rows of ``phi`` (n, K): how far from the reference they lie."""
        return norm(phi, self.precision)
