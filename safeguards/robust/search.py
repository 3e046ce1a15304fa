"""The best of a set whose rewards are partly slow to ask for: whom to ask next, and when to stop.

A reward is a quick part q, which is known, plus a slow part y = φ_S·λ_S of heads that cost a call. On the reference set
y is regressed on the quick heads x = φ_Q:

    y_i = u + x_iᵀb + e_i        u ~ N(m, τ²), one for all candidates; e_i ~ N(0, σ²), each its own

The candidate of the highest forecast is asked next. What was asked tells of u. The search ends when

    P(one not asked is better than the best asked) = 1 − E_u Π_i Φ((best − q_i − x_iᵀb − u)/σ)

is at most what the caller allows. This is sequential search with recall (Weitzman 1979), for a wanted probability of
the best instead of a price of asking.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.checks import require_shape
from elicitation.quadrature import gauss_hermite

NODES = 32
EQUAL = 1e-9
"""Rewards that are no further apart, in nats, count as equal: of equal ones the first asked is as good as any."""


@dataclass(frozen=True, eq=False)
class SlowHeads:
    """What quick heads Q say of slow heads S, from a reference set: ``slow`` (K,) bool says which are slow.

    ``slope`` (Q, S), ``mean`` (S,), ``between`` (S, S) the covariance of sets, ``within`` (S, S) that of candidates.
    """

    slow: Tensor
    slope: Tensor
    mean: Tensor
    between: Tensor
    within: Tensor

    @classmethod
    def of(cls, reference: Tensor, slow: Tensor) -> "SlowHeads":
        """From ``reference`` (P, R, K): φ of R responses to each of P prompts, regressed within prompts."""
        sets, size, _ = reference.shape
        quick, asked = reference[..., ~slow], reference[..., slow]
        x, y = quick.mean(1), asked.mean(1)
        own_x, own_y = (quick - x[:, None]).flatten(0, 1), (asked - y[:, None]).flatten(0, 1)
        slope = torch.linalg.pinv(own_x) @ own_y
        rest, offsets = own_y - own_x @ slope, y - x @ slope
        freedom = max(sets * (size - 1) - int((~slow).sum()), 1)
        within = rest.T @ rest / freedom
        apart = offsets - offsets.mean(0)
        between = apart.T @ apart / max(sets - 1, 1) - within / size
        return cls(slow, slope, offsets.mean(0), between, within)

    def forecast(self, phi: Tensor, coefficients: Tensor) -> "Forecast":
        """Of candidates' rewards under ``coefficients`` (K,), from φ (n, K), whose slow heads are not looked at."""
        require_shape("φ", phi, (None, len(self.slow)))
        slow, x = coefficients[self.slow], phi[:, ~self.slow]
        expected = x @ coefficients[~self.slow] + (self.mean + x @ self.slope) @ slow
        between, within = (float((slow @ part @ slow).clamp_min(0)) for part in (self.between, self.within))
        return Forecast(expected, between, within)


@dataclass(frozen=True, eq=False)
class Forecast:
    """Candidates' ``expected`` rewards (n,) before any is asked, nats, and the variances τ² ``between`` sets and σ²
    ``within`` one."""

    expected: Tensor
    between: float
    within: float

    def after(self, asked: Tensor, rewards: Tensor) -> "Outlook":
        """What is known once the candidates ``asked`` (n,) bool have ``rewards`` (n,); other entries are ignored."""
        total = self.within + int(asked.sum()) * self.between
        surprise = float((rewards - self.expected)[asked].sum())
        shift = self.between * surprise / total if total else 0.0
        variance = self.between * self.within / total if total else 0.0
        expected = torch.where(asked, rewards, self.expected + shift)
        return Outlook(expected, self._doubt(expected, asked, variance), _highest(expected, ~asked))

    def _doubt(self, expected: Tensor, asked: Tensor, variance: float) -> float:
        if not bool(asked.any()):
            return float(len(asked) > 0)
        ahead = expected[asked].max() - expected[~asked] + EQUAL
        nodes, weights = gauss_hermite(NODES)
        shifts = variance**0.5 * nodes[:, None]
        worse = torch.special.ndtr((ahead - shifts) / max(self.within, 1e-300) ** 0.5)
        return float((1 - weights @ worse.prod(1)).clamp(0, 1))


@dataclass(frozen=True, eq=False)
class Outlook:
    """Rewards ``expected`` (n,) of those not asked yet, known of the others; the ``doubt`` that one not asked is better
    than the best asked, 1 before the first; and whom to ask ``next``, None where all are."""

    expected: Tensor
    doubt: float
    next: int | None


def _highest(values: Tensor, among: Tensor) -> int | None:
    """The place of the highest of ``values`` (n,) among some, the first of equal ones."""
    return int(values.where(among, -torch.inf).argmax()) if bool(among.any()) else None
