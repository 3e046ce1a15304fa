"""Order a set of candidates by a rule, and measure how far the rule leaves the aggregate on this very set.

    mean r_g        lcb r_g − std        pessimistic r_g − variance/2     (at the client's KL temperature of 1 nat)

std and variance are of differences: φ is centred on the set. Choice probabilities are the softmax of the values at 1
nat; KL(rule ‖ aggregate) is in nats. Certifying shrinks the values, r̄ + α(value − r̄), to the largest α within budget.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from app.schemas import RankRule
from safeguards.guard import Budget, Reference, guard
from safeguards.score import reward_std

ONLY_DIVERGENCE = {"starc": 1.0, "flat_sd": 1e-9, "sd_max": 1e12}
"""A budget that bounds nothing but the divergence."""


@dataclass(frozen=True, eq=False)
class RankedSet:
    """Candidates' places, best first, and their ``probability`` (n,); a rejected one comes last with probability 0."""

    order: list[int]
    probability: Tensor
    divergence: float
    alpha: float


def rule_values(rule: RankRule, rewards: Tensor, phi: Tensor, passed: Tensor, covariance: Tensor) -> Tensor:
    """The rule's value (n,) of every candidate, nats, from guarded rewards (n,) and φ (n, K)."""
    if rule is RankRule.MEAN or not bool(passed.any()):
        return rewards
    std = torch.where(passed, reward_std(phi - phi[passed].mean(0), covariance), 0.0)
    return rewards - (std if rule is RankRule.LCB else std**2 / 2)


def rank_set(values: Tensor, aggregate: Tensor, passed: Tensor, divergence: float, certify: bool) -> RankedSet:
    """Rank by ``values`` (n,), or with ``certify`` by their certified shrinkage; rejected candidates come last."""
    alpha = set_alpha(values[passed], aggregate[passed], divergence)
    served = torch.lerp(aggregate, values, alpha) if certify else values
    # Equal values keep the order of the request.
    order = torch.where(passed, served, -torch.inf).argsort(descending=True, stable=True)
    probability = torch.zeros_like(served)
    probability[passed] = served[passed].softmax(0)
    log_ratio = served[passed].log_softmax(0) - aggregate[passed].log_softmax(0)
    return RankedSet(order.tolist(), probability, max(float(probability[passed] @ log_ratio), 0.0), alpha)


def set_alpha(values: Tensor, aggregate: Tensor, divergence: float) -> float:
    """The largest α ∈ [0, 1] with KL(softmax(r̄ + α(value − r̄)) ‖ softmax r̄) ≤ ``divergence`` on this set."""
    if len(values) < 2:
        return 1.0
    # The set is a reference of one prompt with two heads: the aggregate, and the deviation that α multiplies.
    reference = Reference.of(torch.stack([aggregate, values - aggregate], dim=1)[None])
    base, whole = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    free = torch.tensor([False, False])
    budget = Budget(divergence=divergence, **ONLY_DIVERGENCE)
    return guard(base, whole, torch.zeros(2, 2, dtype=torch.float64), reference, budget, free).guard.alpha
