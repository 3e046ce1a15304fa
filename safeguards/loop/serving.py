"""Arms: whose coefficients rank the candidates.

    aggregate   λ̄                                unguarded   the person's posterior mean
    random      a stranger's taste                budget      λ̄ + α(λ − λ̄), the largest α in the budget
    band        the agreement band alone          both        band, then budget

Served is the best of N draws with replacement out of the n candidates. In every guarded arm protected heads stay at λ̄,
but for those that the band lowers, and no head goes further than its trust allows.
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from safeguards.band import capped_heads, hold_all
from safeguards.guard import Budget, Reference, starc
from safeguards.loop.world import World
from safeguards.trust import limited

Arm = Literal["aggregate", "unguarded", "random", "budget", "band", "both"]
ARMS: tuple[Arm, ...] = get_args(Arm)
TOLERANCE = 1e-3
MAX_STEPS = 40
SLOPES = (0.05, 2.0)
ROWS = 64
"""People guarded at once: what is computed for them stays in the processor's cache."""


def served_coefficients(arm: Arm, means: Tensor, strangers: Tensor, world: World) -> Tensor:
    """Ranking coefficients of each person (S, U, K), from posterior means and strangers' tastes (S, U, K)."""
    aggregate, policy = world.population.mean, world.policy
    if arm == "aggregate":
        return aggregate.expand_as(means)
    if arm in ("unguarded", "random"):
        return means if arm == "unguarded" else strangers
    bands = () if arm == "budget" else policy.bands
    capped = capped_heads(bands, policy.protected)
    people = torch.where(policy.protected & ~capped, aggregate, limited(means, aggregate, policy.limit))
    people = hold_all(torch.where(capped, people.minimum(aggregate), people), aggregate, bands)
    if arm == "band":
        return people
    flat = people.flatten(0, 1)
    alpha = torch.cat([shares(aggregate, rows, policy.reference, policy.budget) for rows in flat.split(ROWS)])
    return (aggregate + alpha[:, None] * (flat - aggregate)).view_as(people)


def shares(aggregate: Tensor, people: Tensor, reference: Reference, budget: Budget) -> Tensor:
    """The guard's α (U,) for people (U, K) at once: within the budget, and using all but TOLERANCE of it.

    The usage u(α) of the tightest bound (root KL over root ε, or STARC over its limit) rises with α and is nearly
    proportional to it, so secants of log u over log α find u = 1 − TOLERANCE/2 in a few steps.
    """
    deviation = people - aggregate
    delta = torch.einsum("uk,pnk->upn", deviation.float(), reference.centred.float())
    base = (reference.centred @ aggregate).log_softmax(-1).float()

    def log_usage(alpha: Tensor) -> Tensor:
        divergence = _divergences(alpha.float(), delta, base).double().amax(dim=1) / budget.divergence
        return torch.maximum(divergence.sqrt(), _shape_usage(alpha, aggregate, deviation, reference, budget)).log()

    whole = torch.ones(len(people), dtype=people.dtype)
    usage, target = log_usage(whole), math.log1p(-TOLERANCE / 2)
    free = usage <= 0
    alpha = torch.where(free, whole, (target - usage).exp())
    last, slope, feasible = usage, whole, torch.zeros_like(whole)
    step = alpha.log()
    for _ in range(MAX_STEPS):
        usage = log_usage(alpha)
        feasible = torch.where(usage <= 0, torch.maximum(alpha, feasible), feasible)
        if bool((free | ((usage - target).abs() <= TOLERANCE / 2)).all()):
            break
        slope = torch.where(step == 0, slope, ((usage - last) / step).clamp(*SLOPES))
        last, step = usage, (target - usage) / slope
        alpha = torch.where(free, alpha, alpha * step.exp())
    return torch.where(free, 1.0, feasible)


def _shape_usage(alpha: Tensor, aggregate: Tensor, deviation: Tensor, reference: Reference, budget: Budget) -> Tensor:
    """How much of the STARC limit, or where the aggregate is flat of the one on SD, is used at α (U,)."""
    if float(reference.within_sd(aggregate)) < budget.flat_sd:
        return alpha * reference.within_sd(deviation) / budget.sd_max
    return starc(aggregate + alpha[:, None] * deviation, aggregate, reference) / budget.starc


def _divergences(alpha: Tensor, delta: Tensor, base: Tensor) -> Tensor:
    """KL (U, P) in nats of softmax(r̄ + αδ) from softmax r̄, with δ (U, P, n) and log-probabilities r̄ (P, n)."""
    tilt = alpha[:, None, None] * delta
    own = base + tilt
    normaliser = own.logsumexp(-1)
    return (((own - normaliser[..., None]).exp() * tilt).sum(-1) - normaliser).clamp_min(0)
