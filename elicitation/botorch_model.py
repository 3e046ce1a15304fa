"""A posterior over λ as a BoTorch model: its utility at X (… × q × K) is N(X·m, X·C·Xᵀ), in nats.

BoTorch's preference acquisition functions (EUBO, qEUBO, BALD) and ``optimize_acqf_discrete`` run on it unchanged.

Source: Lin et al. (2022), Preference exploration for efficient Bayesian optimization with multiple outcomes.
"""

import torch
from botorch.acquisition.objective import PosteriorTransform
from botorch.acquisition.preference import AnalyticExpectedUtilityOfBestOption
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from linear_operator import to_linear_operator
from torch import Tensor

from elicitation.errors import InvalidInput
from elicitation.posterior import Posterior

JITTER = 1e-10
"""Variance added to every utility, in nats²: more points than heads have a singular covariance, unfit for sampling."""


class LinearPreferenceModel(Model):
    """The utility λᵀφ with λ ~ N(m, C), m and C the moments of a posterior (a mixture is matched by its moments)."""

    coefficients: Tensor
    covariance: Tensor
    datapoints: Tensor

    def __init__(self, posterior: Posterior) -> None:
        super().__init__()
        self.register_buffer("coefficients", posterior.mean)
        self.register_buffer("covariance", posterior.covariance)
        # Preference acquisition functions read this attribute for its dtype and device alone.
        self.register_buffer("datapoints", torch.empty(0, posterior.k, dtype=torch.float64))

    @property
    def num_outputs(self) -> int:
        """One utility."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """A single model."""
        return torch.Size()

    def posterior(
        self,
        X: Tensor,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | None = None,
    ) -> GPyTorchPosterior:
        """Joint utilities of the q points in each batch of X (… × q × K); raises InvalidInput for another K."""
        if X.shape[-1] != len(self.coefficients):
            raise InvalidInput(f"X has {X.shape[-1]} heads; the posterior has {len(self.coefficients)}")
        covariance = X @ self.covariance @ X.transpose(-1, -2)
        covariance = covariance + JITTER * torch.eye(X.shape[-2], dtype=X.dtype)
        # As an operator it is factorised only when samples are drawn; that of an extreme pair is singular to rounding.
        utilities = GPyTorchPosterior(MultivariateNormal(X @ self.coefficients, to_linear_operator(covariance)))
        return utilities if posterior_transform is None else posterior_transform(utilities)


def expected_utility_of_best(posterior: Posterior, differences: Tensor) -> Tensor:
    """EUBO (N,) of pairs with ``differences`` (N, K), in nats above the mean utility of the pair's two responses."""
    model = LinearPreferenceModel(posterior)
    pairs = torch.stack([differences / 2, -differences / 2], dim=-2)
    with torch.no_grad():
        values: Tensor = AnalyticExpectedUtilityOfBestOption(pref_model=model)(pairs)
    return values
