"""Values of candidates under an uncertain reward, in nats, from guarded rewards r (n,) and φ (n, K).

Uncertainty is that of differences within the set: φ is centred on the candidates, so that what all of them share costs
nobody anything. With λ ~ N(m, C) and ψ = φ − mean φ, the variance of a candidate is ψᵀCψ.
"""

import math

from torch import Tensor

from elicitation.checks import require_number, require_shape
from elicitation.errors import InvalidInput
from elicitation.norms import norm


def spread(phi: Tensor, covariance: Tensor) -> Tensor:
    """Standard deviation (n,) of each candidate's reward against the set's mean, for covariance C (K, K)."""
    return norm(phi - phi.mean(0), covariance)


def lower_bound(rewards: Tensor, std: Tensor, kappa: float) -> Tensor:
    """r − κ·std (n,)."""
    if not 0 <= kappa < math.inf:
        raise InvalidInput(f"kappa = {kappa} must be finite and not negative")
    return rewards - kappa * std


def pessimistic(rewards: Tensor, std: Tensor, beta: float) -> Tensor:
    """−β·ln E[e^{−r/β}] = r − variance/(2β) (n,), exact for a normal r; β > 0 is the client's KL temperature in nats.

    β → ∞ gives the mean and β → 0 the worst case, as in the limits of ensemble objectives (Coste et al. 2024).
    """
    require_temperature(beta)
    return rewards - std.square() / (2 * beta)


def ensemble_nominal(phi: Tensor, coefficients: Tensor, covariance: Tensor, weight: float) -> Tensor:
    """w·nominal + (1 − w)·min (n,) over head seeds: φ (S, n, K) of the same candidates, ``weight`` w in [0, 1].

    A candidate's nominal reward is that of the seed that is surest of it, its minimum that of the seed that likes it
    least; both count from the seed's own mean over the set, which says nothing about the candidates.
    Source: Bayesian reward model ensembles, Yan et al. (2024), Reward-Robust RLHF in LLMs.
    """
    require_shape("φ of head seeds", phi, (None, None, len(coefficients)))
    require_number("weight", weight, 0.0, 1.0)
    centred = phi - phi.mean(1, keepdim=True)
    rewards, std = centred @ coefficients, norm(centred, covariance)
    nominal = rewards.gather(0, std.argmin(0, keepdim=True))[0]
    return weight * nominal + (1 - weight) * rewards.amin(0)


def require_temperature(beta: float) -> None:
    """Raise InvalidInput unless 0 < beta < ∞."""
    if not 0 < beta < math.inf:
        raise InvalidInput(f"beta = {beta} must be finite and above 0; it is a temperature in nats")
