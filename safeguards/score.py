"""From guarded rewards r_g = λ_gᵀφ, in nats, to scores in 0–1, and the floor under them.

* bounded score: Φ(x) at x = r_g/√(λ_gᵀSλ_g), S the reference covariance of φ. Φ itself rounds to ties near 1 from
  x ≈ 6 on, so beyond |x| = 4 it is continued by an algebraic tail of the same value and slope, which is strictly
  increasing in float64 for steps of x above 1e-11 (|x| ≤ 4), 1e-9 (|x| ≤ 10), 1e-4·|x| (|x| ≤ 1e6).
* floor: the reference minimum of r_g minus 1 SD, given to gated responses; accepted ones are kept 0.01 SD above it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from safeguards.guard import Reference

TAIL = 4.0  # SD at which Φ gives way to the algebraic tail
AT_TAIL = 0.5 * math.erfc(TAIL / math.sqrt(2))  # Φ(−TAIL)
HAZARD = math.exp(-0.5 * TAIL**2) / math.sqrt(2 * math.pi) / AT_TAIL  # its slope over its value
FLOOR_DEPTH = 1.0  # SD below the reference minimum
FLOOR_MARGIN = 0.01  # SD between the floor and the lowest accepted reward


@dataclass(frozen=True)
class Scale:
    """Constants of one profile version, in nats: SD of r_g over the reference set, floor and lowest accepted reward."""

    std: float
    floor: float
    lowest: float

    @classmethod
    def of(cls, coefficients: Tensor, reference: Reference) -> "Scale":
        """The scale of guarded coefficients (K,); a reward that is constant on the reference set gets SD 1."""
        # Not ``quadratic_form``: its sum may end in another digit, and the scores served would with it.
        std = math.sqrt(max(float(coefficients @ reference.covariance @ coefficients), 0.0)) or 1.0
        floor = float((reference.phi @ coefficients).min()) - FLOOR_DEPTH * std
        return cls(std, floor, floor + FLOOR_MARGIN * std)


def bounded(x: Tensor) -> Tensor:
    """Φ(x) for |x| ≤ 4, continued strictly increasing beyond; x in SD, any shape, result in (0, 1)."""
    size = x.abs()
    lower = torch.special.ndtr(-size.clamp_max(TAIL))
    if bool((size > TAIL).any()):
        lower = torch.where(size > TAIL, AT_TAIL / (1 + HAZARD * (size - TAIL)), lower)
    return torch.where(x > 0, 1 - lower, lower)
