"""BoTorch's acquisition functions run unchanged on the posterior."""

import pytest
import torch
from botorch.acquisition.objective import ScalarizedPosteriorTransform
from botorch.acquisition.preference import (
    AnalyticExpectedUtilityOfBestOption,
    PairwiseBayesianActiveLearningByDisagreement,
    qExpectedUtilityOfBestOption,
)
from botorch.optim import optimize_acqf_discrete
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor

from elicitation.botorch_model import LinearPreferenceModel
from elicitation.errors import InvalidInput
from elicitation.posterior import Posterior


@pytest.fixture
def preference(posterior: Posterior) -> LinearPreferenceModel:
    return LinearPreferenceModel(posterior)


@pytest.fixture
def responses(generator: torch.Generator) -> Tensor:
    return torch.randn(20, 4, generator=generator, dtype=torch.float64)


def best_of(posterior: Posterior, pair: Tensor, generator: torch.Generator) -> float:
    noise = torch.randn(100_000, 4, generator=generator, dtype=torch.float64)
    draws = posterior.mean + noise @ torch.linalg.cholesky(posterior.covariance).T
    return float((draws @ pair.T).max(dim=1).values.mean())


def test_utilities_are_the_projected_posterior(
    preference: LinearPreferenceModel, posterior: Posterior, responses: Tensor
) -> None:
    utilities = preference.posterior(responses[None, :3])
    torch.testing.assert_close(utilities.mean.squeeze(), responses[:3] @ posterior.mean)
    expected = responses[:3] @ posterior.covariance @ responses[:3].T
    torch.testing.assert_close(utilities.distribution.covariance_matrix[0], expected, rtol=0, atol=1e-8)
    assert preference.num_outputs == 1
    assert preference.batch_shape == torch.Size()


def test_analytic_eubo_is_the_expected_best_utility_of_the_pair(
    preference: LinearPreferenceModel, posterior: Posterior, responses: Tensor, generator: torch.Generator
) -> None:
    value = AnalyticExpectedUtilityOfBestOption(pref_model=preference)(responses[None, :2])
    assert float(value) == pytest.approx(best_of(posterior, responses[:2], generator), abs=0.02)


def test_qeubo_agrees_with_the_analytic_one(preference: LinearPreferenceModel, responses: Tensor) -> None:
    sampler = SobolQMCNormalSampler(torch.Size([1024]), seed=0)
    pairs = responses.reshape(10, 2, 4)
    sampled = qExpectedUtilityOfBestOption(pref_model=preference, sampler=sampler)(pairs)
    exact = AnalyticExpectedUtilityOfBestOption(pref_model=preference)(pairs)
    torch.testing.assert_close(sampled, exact, rtol=0.02, atol=0.01)


def test_bald_prefers_the_less_certain_of_two_even_pairs(posterior: Posterior) -> None:
    preference = LinearPreferenceModel(posterior)
    torch.manual_seed(0)
    zero = torch.zeros(4, dtype=torch.float64)
    even = torch.linalg.svd(posterior.mean[None]).Vh[1]
    pairs = torch.stack([torch.stack([size * even, zero]) for size in (0.1, 2.0)])
    near, far = PairwiseBayesianActiveLearningByDisagreement(pref_model=preference, num_samples=2048)(pairs).tolist()
    assert 0 <= near < far


def test_the_discrete_optimiser_finds_the_best_response(
    preference: LinearPreferenceModel, posterior: Posterior, responses: Tensor
) -> None:
    """Against a fixed opponent, the best of all single candidates; two of them jointly, without repetition."""
    against = AnalyticExpectedUtilityOfBestOption(pref_model=preference, previous_winner=responses[:1])
    candidate, value = optimize_acqf_discrete(against, q=1, choices=responses)
    values = against(responses[:, None])
    torch.testing.assert_close(candidate[0], responses[int(values.argmax())])
    assert float(value) == pytest.approx(float(values.max()))
    sampler = SobolQMCNormalSampler(torch.Size([256]), seed=0)
    pair, _ = optimize_acqf_discrete(
        qExpectedUtilityOfBestOption(pref_model=preference, sampler=sampler), q=2, choices=responses
    )
    torch.testing.assert_close(pair[0], responses[int((responses @ posterior.mean).argmax())])
    assert not torch.equal(pair[0], pair[1])


def test_more_responses_than_heads_can_be_sampled(preference: LinearPreferenceModel, responses: Tensor) -> None:
    draws = preference.posterior(responses).rsample(torch.Size([64]))
    assert draws.shape == (64, 20, 1)
    assert bool(torch.isfinite(draws).all())


def test_a_posterior_transform_is_applied(preference: LinearPreferenceModel, responses: Tensor) -> None:
    double = ScalarizedPosteriorTransform(weights=torch.tensor([2.0], dtype=torch.float64))
    plain = preference.posterior(responses).mean
    torch.testing.assert_close(preference.posterior(responses, posterior_transform=double).mean, 2 * plain)


def test_gradients_reach_the_responses(preference: LinearPreferenceModel, responses: Tensor) -> None:
    pair = responses[None, :2].clone().requires_grad_()
    AnalyticExpectedUtilityOfBestOption(pref_model=preference)(pair).sum().backward()
    assert pair.grad is not None
    assert float(pair.grad.abs().sum()) > 0


def test_responses_of_another_size_are_refused(preference: LinearPreferenceModel) -> None:
    with pytest.raises(InvalidInput, match="X has 3 heads; the posterior has 4"):
        preference.posterior(torch.zeros(1, 2, 3, dtype=torch.float64))
