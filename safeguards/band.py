"""The agreement band: how much more than the aggregate a reward may pay for siding with the user.

e = dᵀ(λ − λ̄), with d the agreement direction of one stratum, is by how many nats more than the aggregate a person's
reward puts an agreeing response above the other. It is held to ±c, by the least change in the metric Σ in which
people differ:

    λ' = λ − Σd·sgn(e)(|e| − c)₊ / (dᵀΣd)

Two-sided: a cap from above alone would breed contrarians. A *counterweight* is a head of explicit agreement that is
never learned. It joins Σ where e > c, with a variance of its own, so that a taste that comes with agreement (warmth) is
kept and the words of agreement are discounted instead. Where e < −c it does not: no coefficient of it is ever above λ̄.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from elicitation.errors import InvalidInput

COUNTERWEIGHT_STD = 0.5
"""Standard deviation, in nats, that a counterweight head has in the metric."""


@dataclass(frozen=True)
class BandReport:
    """One stratum of a certificate: e in nats ``before`` and ``after`` the guard, and whether the band changed it."""

    status: Literal["active", "inactive"]
    limit: float | None = None
    before: float | None = None
    after: float | None = None
    binds: bool = False


INACTIVE = BandReport("inactive")


@dataclass(frozen=True, eq=False)
class Band:
    """The limit c > 0, in nats, along ``direction`` d (K,), with the corrections ``above`` and ``below`` (K,), dᵀu = 1,
    and the ``counterweight`` heads, bool (K,). An inactive band holds nothing and is reported as such.
    """

    stratum: str
    active: bool
    limit: float
    direction: Tensor
    above: Tensor
    below: Tensor
    counterweight: Tensor

    @classmethod
    def of(
        cls, stratum: str, direction: Tensor, covariance: Tensor, counterweight: Tensor, limit: float, active: bool
    ) -> "Band":
        """From d (K,), prior covariance Σ (K, K) and counterweight bool (K,).

        Heads in which nobody differs are left out of d. Inactive too where Σ leaves nothing to correct. Raises
        InvalidInput for a limit that is not finite and above 0.
        """
        if not 0 < limit < torch.inf:
            raise InvalidInput(f"band limit = {limit} nats must be finite and above 0; to allow more, raise it")
        counterweight = counterweight & (covariance.diagonal() == 0)
        d = torch.where(counterweight | (covariance.diagonal() > 0), direction, 0.0)
        allowed = covariance + COUNTERWEIGHT_STD**2 * torch.diag(counterweight.to(d.dtype))
        below, above = covariance @ d, allowed @ d
        room = float(d @ below)
        if room <= torch.finfo(d.dtype).tiny:
            return cls(stratum, False, limit, d, torch.zeros_like(d), torch.zeros_like(d), counterweight)
        return cls(stratum, active, limit, d, above / (d @ above), below / room, counterweight)

    def lean(self, coefficients: Tensor, aggregate: Tensor) -> Tensor:
        """e, in nats, of coefficients (…, K) -> (…)."""
        return (coefficients - aggregate) @ self.direction

    def hold(self, coefficients: Tensor, aggregate: Tensor) -> Tensor:
        """Coefficients (…, K) with |e| ≤ c up to rounding; those that have it already are returned as they are."""
        e = self.lean(coefficients, aggregate)[..., None]
        over, under = (e - self.limit).clamp_min(0), (-e - self.limit).clamp_min(0)
        return coefficients - over * self.above + under * self.below

    def report(self, before: Tensor, after: Tensor, aggregate: Tensor) -> BandReport:
        """The guard's effect on coefficients ``before`` (K,)."""
        if not self.active:
            return INACTIVE
        lean, held = float(self.lean(before, aggregate)), float(self.lean(after, aggregate))
        return BandReport("active", self.limit, lean, held, abs(lean) > self.limit)


def hold_all(coefficients: Tensor, aggregate: Tensor, bands: Sequence[Band]) -> Tensor:
    """Coefficients (…, K) inside every active band.

    One after the other; where a later band leads out of an earlier one the personal part shrinks into both.
    """
    active = [band for band in bands if band.active]
    for band in active:
        coefficients = band.hold(coefficients, aggregate)
    share = torch.ones(coefficients.shape[:-1], dtype=coefficients.dtype)
    for band in active:
        share = share.minimum(band.limit / band.lean(coefficients, aggregate).abs().clamp_min(band.limit))
    return torch.lerp(aggregate.expand_as(coefficients), coefficients, share[..., None])


def capped_heads(bands: Sequence[Band], protected: Tensor) -> Tensor:
    """Bool (K,): the protected heads that active bands use as counterweight; they may be lowered, never raised."""
    capped = torch.zeros_like(protected)
    for band in bands:
        if band.active:
            capped |= band.counterweight
    return capped & protected


def outside(coefficients: Tensor, aggregate: Tensor, bands: Sequence[Band]) -> bool:
    """Whether coefficients (K,) exceed the limit of an active band."""
    return any(band.active and float(band.lean(coefficients, aggregate).abs()) > band.limit for band in bands)
