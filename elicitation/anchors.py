"""How much a person's own verdicts vary, from two absolute questions: is this acceptable, is it excellent?

A response of reward r = λᵀφ (nats) is felt as r + noise, noise ~ N(0, σ²), and called acceptable above τ₁, excellent
above τ₂ > τ₁. With p_k = Φ((r − τ_k)/σ) the verdicts unacceptable, acceptable and excellent have the probabilities
1 − p₁, p₁ − p₂, p₂. Choices between pairs fix only the ratio of rewards to noise; with λ from them, the two anchors fix
σ on the same scale. λ is not known exactly, and what is unknown of it is shared by all ratings, so that λ, τ₁ and τ₂
are integrated out together (Laplace; given σ the posterior is log-concave), and σ along a line of values.

Priors: λ has the posterior of the person's answers, τ₁ ~ N(0, 4²) nats, τ₂ − τ₁ ~ Gamma(2, NOISE/κ). ln σ is normal
around that of NOISE/κ = π/√6/κ, the noise per response of which the difference of two has the spread of a logistic with
the person's consistency κ.

Source: Thurstone (1927), law of comparative judgment, case V, with two anchors; ordered probit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.laplace import ascend, covariance_root
from elicitation.posterior import Posterior

NOISE = math.pi / math.sqrt(6)
"""Standard deviation, nats, of one side's noise where their difference is as spread as a standard logistic."""
THRESHOLD_STD, LOG_NOISE_STD = 4.0, 0.7
"""Prior standard deviations of τ₁ (nats) and ln σ."""
KNOWN = 0.35
"""σ is reported once its posterior standard deviation is below this share of itself or of its prior's median."""
WIDTH, POINTS = 3.0, 25
"""Values of ln σ that are looked at: within so many standard deviations, so many of them."""
LAST_STEP = 1e-6
"""Longest last step of Newton's method, in prior standard deviations."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""−log posterior density (S,), up to a constant, of whitened coordinates (S, D) given ln σ (S,)."""


class Level(StrEnum):
    """A person's verdict on one response, in rising order."""

    UNACCEPTABLE = "unacceptable"
    ACCEPTABLE = "acceptable"
    EXCELLENT = "excellent"


LEVELS = tuple(Level)


@dataclass(frozen=True)
class Anchors:
    """A person's anchors and the noise of their judgments, all in nats.

    Posterior means, of ``noise`` that of its logarithm, with the standard deviation ``log_noise_std``. ``known`` says
    whether the ratings suffice to estimate ``noise``.
    """

    acceptable: float
    excellent: float
    noise: float
    log_noise_std: float
    known: bool


def log_probabilities(rewards: Tensor, acceptable: Tensor, excellent: Tensor, noise: Tensor) -> Tensor:
    """ln p (…, 3) of LEVELS for ``rewards``, anchors τ₁ < τ₂ and ``noise`` σ, all in nats, shapes that broadcast."""
    first, second = (rewards - acceptable) / noise, (rewards - excellent) / noise
    return torch.stack([_log_ndtr(-first), _log_between(first, second), _log_ndtr(second)], dim=-1)


def anchors(posterior: Posterior, phi: Tensor, levels: Sequence[Level]) -> Anchors:
    """Estimates from verdicts on the responses φ (N, K) and the answers behind ``posterior``.

    Raises InvalidInput on shapes and NotConverged when a mode is not found.
    """
    require_shape("phi", phi, (len(levels), posterior.k))
    require_finite("phi", phi)
    loss = _loss(posterior, phi, levels)
    size = covariance_root(posterior.covariance).shape[1] + 2
    start = torch.zeros(POINTS, size, dtype=torch.float64)
    start[:, -1] = 1.0
    line = LOG_NOISE_STD * torch.linspace(-WIDTH, WIDTH, POINTS, dtype=torch.float64)
    centre = math.log(NOISE / posterior.consistency)
    weights, modes = _weighed(loss, centre + line, start, centre)
    mean, std = _moments(weights, centre + line)
    # Once more where the posterior lies: many ratings make it narrower than the first line's steps.
    closer = mean + torch.linspace(-WIDTH, WIDTH, POINTS, dtype=torch.float64) * max(std, float(line[1] - line[0]) / 2)
    weights, modes = _weighed(loss, closer, weights @ modes + torch.zeros_like(start), centre)
    mean, std = _moments(weights, closer)
    unit = NOISE / posterior.consistency
    lower, gap = float(weights @ modes[:, -2]) * THRESHOLD_STD, float(weights @ modes[:, -1]) * unit
    noise = math.exp(mean)
    return Anchors(lower, lower + gap, noise, std, noise * std <= KNOWN * max(noise, unit))


def preferred(difference: Tensor, variance: Tensor, noise: float) -> Tensor:
    """Probability that the person calls one response better than another: Φ(Δr/√(variance + 2σ²)).

    ``difference`` Δr in nats, known up to ``variance`` (nats²), any shape; each side is felt with ``noise`` σ.
    """
    chance: Tensor = torch.special.ndtr(difference / (variance + 2 * noise**2).sqrt())
    return chance


def _loss(posterior: Posterior, phi: Tensor, levels: Sequence[Level]) -> Loss:
    """Coordinates: whitened λ, τ₁/THRESHOLD_STD, (τ₂ − τ₁)·κ/NOISE."""
    column = torch.tensor([LEVELS.index(level) for level in levels], dtype=torch.long)
    centre, root = phi @ posterior.mean, phi @ covariance_root(posterior.covariance)
    unit = NOISE / posterior.consistency

    def loss(a: Tensor, log_noise: Tensor) -> Tensor:
        lower, gap = THRESHOLD_STD * a[:, -2, None], a[:, -1, None]
        logs = log_probabilities(centre + a[:, :-2] @ root.T, lower, lower + unit * gap, log_noise.exp()[:, None])
        prior = a[:, -1].log() - a[:, -1] - a[:, :-1].square().sum(1) / 2
        return -prior - logs[:, torch.arange(len(column)), column].sum(1)

    return loss


def _weighed(loss: Loss, log_noise: Tensor, start: Tensor, centre: float) -> tuple[Tensor, Tensor]:
    """Posterior weights (S,) of values ``log_noise`` (S,), and the modes (S, D) of the other coordinates there."""
    mode = ascend(lambda a: _Point(loss, log_noise, a), start, LAST_STEP, "anchors")
    evidence = mode.value - torch.linalg.slogdet(mode.curvature).logabsdet / 2
    prior = -((log_noise - centre) / LOG_NOISE_STD).square() / 2
    return (evidence + prior).softmax(0), mode.a


@dataclass(frozen=True, eq=False)
class _Point:
    """The log posteriors of whitened coordinates ``a`` (S, D), given ln σ (S,)."""

    loss: Loss
    log_noise: Tensor
    a: Tensor

    @cached_property
    def value(self) -> Tensor:
        return -self.loss(self.a, self.log_noise)

    @cached_property
    def curvature(self) -> Tensor:
        """−∇² (S, D, D)."""
        return self._derivatives[1]

    @cached_property
    def gradient(self) -> Tensor:
        return -self._derivatives[0]

    @cached_property
    def step(self) -> Tensor:
        """Newton's step (S, D)."""
        step: Tensor = torch.linalg.solve(self.curvature, self.gradient)
        return step

    @cached_property
    def _derivatives(self) -> tuple[Tensor, Tensor]:
        """Gradient (S, D) and curvature (S, D, D) of the loss; rows know nothing of one another."""
        at = self.a.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(self.loss(at, self.log_noise).sum(), at, create_graph=True)
        rows = [torch.autograd.grad(column.sum(), at, retain_graph=True)[0] for column in slope.unbind(1)]
        return slope.detach(), torch.stack(rows, dim=1)


def _moments(weights: Tensor, values: Tensor) -> tuple[float, float]:
    mean = weights @ values
    return float(mean), float((weights @ (values - mean).square()).sqrt())


def _log_between(upper: Tensor, lower: Tensor) -> Tensor:
    """ln(Φ(upper) − Φ(lower)) for upper > lower, both sides taken to the tail where Φ keeps its digits."""
    flip = lower > 0
    high, low = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
    shrinks = (_log_ndtr(low) - _log_ndtr(high)).clamp_max(-1e-15)
    return _log_ndtr(high) + torch.log(-torch.expm1(shrinks))


def _log_ndtr(x: Tensor) -> Tensor:
    logs: Tensor = torch.special.log_ndtr(x)
    return logs
