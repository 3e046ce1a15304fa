"""When to stop asking, and an honest "question n of about N".

The flip share is the share of served pairs whose predicted preference would have the other sign if λ were known,
mean over t of Φ(−|mᵀv_t|/σ_t), σ_t² = v_tᵀCv_t. A question is worth asking while the flip share is above
``flip_share`` and the best question (iopt) lowers the mean variance of the served win probabilities by ``gain``.

The number still to come is found by looking ahead: the best question is taken as answered, which changes the
covariance whatever the answer, C ← C − C·v·vᵀC·E[I/(1 + I·vᵀCv)]; the mean the answers would lead to is distributed as
N(m, C₀ − C), and the flip share is averaged over it. Informations and slopes are averages over the current belief
N(m, C₀), since those at its mean would promise too much.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.acquisition import Outlook, variance_reduction
from elicitation.checks import require_finite, require_shape
from elicitation.choice import ChoiceModel
from elicitation.norms import quadratic_form
from elicitation.population import Component
from elicitation.posterior import Posterior
from elicitation.predict import project
from elicitation.quadrature import gauss_hermite

NODES = 32
FLIP_NODES = 12
_X, _WEIGHTS = gauss_hermite(NODES)


@dataclass(frozen=True)
class StoppingRule:
    """Bounds and thresholds.

    Between ``minimum`` and ``maximum`` questions are asked, as long as more than ``flip_share`` of the served pairs
    could flip and the best question gains more than ``gain`` probability² per served pair.
    """

    minimum: int = 3
    maximum: int = 20
    flip_share: float = 0.1
    gain: float = 5e-3


DEFAULT_RULE = StoppingRule()


def worth_asking(
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    allowed: Tensor,
    targets: Tensor,
    asked: int,
    rule: StoppingRule = DEFAULT_RULE,
) -> bool:
    """Whether after ``asked`` answers another question from ``pool`` (N, K) where ``allowed`` (N,) bool pays."""
    return _further(posterior, model, pool, allowed, targets, asked, rule, limit=1) > 0


def expected_total(
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    allowed: Tensor,
    targets: Tensor,
    asked: int,
    rule: StoppingRule = DEFAULT_RULE,
) -> int:
    """``asked`` plus the questions still expected; outside the rule's bounds only where pool or caller left them."""
    return asked + _further(posterior, model, pool, allowed, targets, asked, rule, limit=rule.maximum)


def flip_share(mean: Tensor, covariance: Tensor, targets: Tensor) -> float:
    """Share of served pairs (T, K) whose predicted preference could still flip under λ ~ N(mean, covariance)."""
    variance = _variance(targets, covariance)
    return _flip_share(targets @ mean, variance, variance)


def _further(
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    allowed: Tensor,
    targets: Tensor,
    asked: int,
    rule: StoppingRule,
    limit: int,
) -> int:
    """Questions still worth asking, at most ``limit``."""
    for name, rows in (("pool", pool), ("targets", targets)):
        require_shape(name, rows, (None, posterior.k))
        require_finite(name, rows)
    require_shape("allowed", allowed, (len(pool),))
    pool = pool[allowed]
    information = _information_over_belief(posterior, model, pool)
    outlook = Outlook(pool, information @ _WEIGHTS, _served_over_belief(posterior, model, targets))
    mean, covariance = targets @ posterior.mean, posterior.covariance
    now = _variance(targets, covariance)
    unasked = torch.ones(len(pool), dtype=torch.bool)
    further = 0
    while further < limit and asked + further < rule.maximum and bool(unasked.any()):
        gains = variance_reduction(outlook, covariance).masked_fill(~unasked, -torch.inf)
        best = int(gains.argmax())
        if asked + further >= rule.minimum and (
            float(gains[best]) <= rule.gain * len(targets)
            or _flip_share(mean, now, _variance(targets, covariance)) <= rule.flip_share
        ):
            break
        covariance = _answered(covariance, pool[best], information[best])
        unasked[best] = False
        further += 1
    return further


def _utilities(posterior: Posterior, rows: Tensor) -> Tensor:
    """λᵀv at the quadrature nodes of the current belief, for every row v (N, K): (N, NODES)."""
    mean, std = project(Component(1.0, posterior.mean, posterior.covariance), rows)
    return mean[:, None] + std[:, None] * _X


def _information_over_belief(posterior: Posterior, model: ChoiceModel, pool: Tensor) -> Tensor:
    """I of each question (N, K) at the nodes: (N, NODES)."""
    return model.information(_utilities(posterior, pool) + model.side_bias, posterior.consistency)


def _served_over_belief(posterior: Posterior, model: ChoiceModel, targets: Tensor) -> Tensor:
    """iopt's M (K, K) with the mean of s_t² over the belief."""
    slopes = model.win_slope(_utilities(posterior, targets), posterior.consistency).square() @ _WEIGHTS
    return targets.T @ (slopes[:, None] * targets)


def _answered(covariance: Tensor, difference: Tensor, information: Tensor) -> Tensor:
    """The mean covariance once a question (K,) with ``information`` (NODES,) was answered, whatever the answer."""
    reach = covariance @ difference
    shrink = (information / (1 + information * (difference @ reach))) @ _WEIGHTS
    return covariance - shrink * torch.outer(reach, reach)


def _variance(targets: Tensor, covariance: Tensor) -> Tensor:
    return quadratic_form(targets, covariance).clamp_min(0)


def _flip_share(mean: Tensor, now: Tensor, then: Tensor) -> float:
    """Mean over served pairs of the chance of a flip once variance ``now`` (T,) has shrunk to ``then`` (T,)."""
    x, w = gauss_hermite(FLIP_NODES)
    moved = mean[:, None] + (now - then).clamp_min(0).sqrt()[:, None] * x
    # A pair whose utility is known cannot flip, not even where it is 0.
    distance = torch.where(then[:, None] > 0, moved.abs() / then[:, None].sqrt(), torch.inf)
    return float((torch.special.ndtr(-distance) @ w).mean())
