"""Predicted choices of a person: the choice model averaged over the posterior of λ.

Along a difference v, λᵀv is a mixture of N(mᵀv, vᵀCv); each Gaussian is integrated by Gauss–Hermite quadrature,
∫ g(f) N(f; m, σ²) df ≈ Σ_j w_j·g(m + σ·x_j).
"""

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.choice import ChoiceModel
from elicitation.norms import norm
from elicitation.population import Component
from elicitation.posterior import Posterior
from elicitation.quadrature import gauss_hermite

NODES = 32


def project(component: Component, differences: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (N,) of λᵀv for the rows v of ``differences`` (N, K), nats."""
    return differences @ component.mean, norm(differences, component.covariance)


def predict(posterior: Posterior, model: ChoiceModel, differences: Tensor) -> Tensor:
    """Probabilities (N, 3) of left, same and right for the pairs ``differences`` (N, K) as shown on two sides.

    For pairs without sides pass a model whose side_bias is 0. Raises InvalidInput for unusable differences.
    """
    require_shape("differences", differences, (None, posterior.k))
    require_finite("differences", differences)
    x, w = gauss_hermite(NODES)
    total = torch.zeros(len(differences), 3, dtype=torch.float64)
    for component in posterior.components:
        mean, std = project(component, differences)
        z = mean[:, None] + std[:, None] * x + model.side_bias
        total += component.weight * model.expected(z, w, posterior.consistency)
    return total
