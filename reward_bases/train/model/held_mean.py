"""How sure a held mean is: as sure of what people choose as the aggregate head.

The head is fitted to people together, so it knows that they differ: it is less sure than any one of them. λ̄ speaks of
one person whose λ is not known, and averaging over λ ~ N(λ̄, Σ) makes predictions less sure once more. λ̄ is therefore
the head times the factor c with which the population says of the judged pairs what the head says of them,

    c = argmin_c  −Σ_i Σ_o p(o | z_i) · log E p(o | κ·λᵀx_i),    λ ~ N(c·head, Σ),  z_i = headᵀx_i,

o being left, same and right. No label enters c, so that nothing is fitted twice.
"""

import torch
from scipy.optimize import minimize_scalar

from elicitation.choice import ChoiceModel
from elicitation.crowd import Crowd, consistency_nodes
from elicitation.norms import norm
from elicitation.population import Mixture
from elicitation.quadrature import gauss_hermite

FACTORS = (0.5, 20.0)
"""Between these c is sought."""
NODES = 16
MOST = 5000
"""Judgments that decide c; more add time, not precision."""
TOLERANCE = 1e-4
LEAST = 1e-300
"""Probability, so that it has a logarithm."""


def agreeing(population: Mixture, model: ChoiceModel, crowd: Crowd) -> float:
    """The factor c on the mean of the ``population``, which is the head; ``crowd`` holds the judged pairs (N, K)."""
    pairs = crowd.differences[:: max(1, len(crowd.differences) // MOST)]
    said, spread = pairs @ population.mean, norm(pairs, population.covariance)
    target = model.probabilities(said + model.side_bias)
    (x, w), (nodes, shares) = gauss_hermite(NODES), consistency_nodes(model)

    def cross_entropy(factor: float) -> float:
        z = (factor * said + model.side_bias)[:, None] + spread[:, None] * x
        given = torch.zeros_like(target)
        for node, share in zip(nodes, shares, strict=True):
            given += share * model.expected(z, w, float(node.exp()))
        return -float((target * given.clamp_min(LEAST).log()).sum())

    return float(minimize_scalar(cross_entropy, bounds=FACTORS, method="bounded", options={"xatol": TOLERANCE}).x)
