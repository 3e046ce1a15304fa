"""A population that a few accounts cannot move: empirical Bayes whose M step takes a trimmed mean of people.

The mean μ of ``empirical.learn`` moves with everybody's posterior mean m_u, so a share ε of accounts that all answer
alike moves it by ε times as far as they can get. Here, head by head,

    μ_k = mean of m_uk, weighted by the shares r_u, without the lowest and the highest TRIM of the weight
    Σ   = Σ_u r_u·(C_u + (m_u − μ)(m_u − μ)ᵀ)/Σ_u r_u

An account's pull is then bounded however far it lies: a share ε of accounts moves a Gaussian's mean by about
ε·1.35·SD(m_k) at most, next to ε·1.25 for the median, which no location estimate beats, at 0.84 of the mean's
efficiency instead of the median's 0.64; with a hundred people the median's own noise costs more than it saves. Many
accounts of one person are still many: the bound is per share of accounts.

Source: Huber (1964), minimax bias; Hampel et al. (1986), influence functions of trimmed means.
"""

from functools import reduce
from operator import add

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_number, require_shape
from elicitation.choice import ChoiceModel
from elicitation.crowd import Crowd
from elicitation.empirical import Moments, believed
from elicitation.errors import InvalidInput
from elicitation.population import Component, Population

TRIM = 0.25
SETTLED = 1e-3
"""EM ends when no head's mean moves further than this in a round, in its standard deviations."""


def trimmed_mean(values: Tensor, weights: Tensor, trim: float = TRIM) -> Tensor:
    """Mean (K,) of the columns of ``values`` (P, K), weighted (P,), without the outer ``trim`` of the weight each side.

    A value on the edge counts with the part of its weight that lies inside. Raises InvalidInput for a ``trim`` outside
    [0, 0.5), negative weights, or weights that sum to 0.
    """
    require_number("trim", trim, 0.0, 0.4999)
    require_shape("values", values, (None, None))
    require_shape("weights", weights, (len(values),))
    require_finite("values", values)
    if not bool((weights >= 0).all()) or float(weights.sum()) <= 0:
        raise InvalidInput("weights must not be negative and must sum to more than 0")
    ordered, order = values.sort(dim=0)
    upper = (weights / weights.sum())[order].cumsum(0)
    lower = torch.cat([torch.zeros_like(upper[:1]), upper[:-1]])
    inside = (upper.clamp(max=1 - trim) - lower.clamp(min=trim)).clamp_min(0)
    return (inside * ordered).sum(0) / inside.sum(0)


def learn_robustly(crowd: Crowd, model: ChoiceModel, start: Population, rounds: int) -> Population:
    """At most ``rounds`` from ``start``, as ``empirical.learn``; heads protected in ``start`` stay.

    Raises InvalidInput for an empty crowd and NotConverged when somebody's mode is not found.
    """
    if crowd.size == 0:
        raise InvalidInput("0 people; a population is learned from at least 1")
    population = start
    for _ in range(rounds):
        earlier, population = population, _round(crowd, model, population)
        deviation = population.covariance.diagonal().clamp_min(1e-300).sqrt()
        moved = (population.mean - earlier.mean)[~start.protected] / deviation[~start.protected]
        if not len(moved) or float(moved.abs().max()) < SETTLED:
            break
    return population


def _round(crowd: Crowd, model: ChoiceModel, population: Population) -> Population:
    """One E step and the robust M step; the answers must be sorted by person."""
    beliefs = list(believed(crowd, model, population))
    sums = reduce(add, map(Moments.of, beliefs))
    shares = torch.cat([part.shares.sum(2) for part in beliefs])
    means = torch.cat([_averaged(part.means, part.shares) for part in beliefs])
    free = ~population.protected
    components = []
    for place, component in enumerate(sums.population(population).components):
        centre = torch.where(free, trimmed_mean(means[:, place], shares[:, place]), population.mean)
        shift = component.mean - centre
        covariance = component.covariance + torch.outer(shift, shift)
        components.append(Component(component.weight, centre, covariance * (free[:, None] & free)))
    return Population(tuple(components))


def _averaged(means: Tensor, shares: Tensor) -> Tensor:
    """Posterior means (P, C, K), averaged over the nodes of log κ."""
    within = shares / shares.sum(2, keepdim=True).clamp_min(1e-300)
    return torch.einsum("pcj,pcjk->pck", within, means)
