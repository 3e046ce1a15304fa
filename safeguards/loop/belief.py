"""The service's posterior of many people at once, one answer at a time.

Assumed density filtering: after an answer about x the belief N(m, C) keeps the exact mean and variance of f = λᵀx,
which for the choice model's likelihood are integrals over one dimension (Gauss–Hermite). The service itself refits by
Laplace's method from all answers; this is its fast stand-in where hundreds of thousands of refits are needed.

Source: Opper (1998), A Bayesian approach to on-line learning.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.population import Population
from elicitation.quadrature import gauss_hermite

NODES = 16


@dataclass(frozen=True, eq=False)
class Belief:
    """Means (…, K) and covariances (…, K, K) of people's coefficients."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def prior(cls, population: Population, shape: tuple[int, ...]) -> "Belief":
        """The population, for everybody."""
        mean, covariance = population.mean, population.covariance
        return cls(mean.expand(*shape, -1), covariance.expand(*shape, -1, -1))

    def told(self, differences: Tensor, outcomes: Tensor, model: ChoiceModel) -> "Belief":
        """After answers (…) of 0 left, 1 same, 2 right about differences (…, K); a difference of 0 teaches nothing."""
        direction = (self.covariance @ differences[..., None]).squeeze(-1)
        variance = (direction * differences).sum(-1).clamp_min(torch.finfo(differences.dtype).tiny)
        std = variance.sqrt()
        x, w = gauss_hermite(NODES)
        z = (self.mean * differences).sum(-1, keepdim=True) + std[..., None] * x
        index = outcomes[..., None, None].expand(*z.shape, 1)
        mass = w * model.probabilities(z).gather(-1, index).squeeze(-1)
        mass = mass / mass.sum(-1, keepdim=True)
        shift = mass @ x
        shrinkage = 1 - (mass @ x**2 - shift**2)
        gain = direction / std[..., None]
        reduction = (shrinkage[..., None] * gain)[..., None] * gain[..., None, :]
        return Belief(self.mean + shift[..., None] * gain, self.covariance - reduction)

    @property
    def spread(self) -> Tensor:
        """tr Cov of the coefficients that is believed in (…): variance of the means plus mean of the variances.

        People are the dimension before K; by the law of total variance a calibrated belief keeps it.
        """
        own = self.covariance.diagonal(dim1=-2, dim2=-1).sum(-1).mean(-1)
        return variance_trace(self.mean) + own


def variance_trace(coefficients: Tensor) -> Tensor:
    """tr Cov (…) over people of coefficients (…, U, K)."""
    return coefficients.var(dim=-2).sum(-1)
