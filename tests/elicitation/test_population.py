"""Populations: mixtures of Gaussians over coefficients."""

import pytest
import torch

from elicitation.errors import InvalidInput
from elicitation.population import Component, Population


def gaussian(weight: float, mean: list[float], variances: list[float]) -> Component:
    return Component(
        weight, torch.tensor(mean, dtype=torch.float64), torch.diag(torch.tensor(variances, dtype=torch.float64))
    )


def test_the_moments_are_those_of_the_mixture() -> None:
    """Half at −1 and half at +3: variance 1 within and 4 between."""
    population = Population((gaussian(0.5, [-1.0], [1.0]), gaussian(0.5, [3.0], [1.0])))
    assert population.mean.tolist() == [1.0]
    assert population.covariance.tolist() == [[5.0]]


def test_a_head_without_variance_is_protected_and_its_mean_exact() -> None:
    """0.1 + 0.7 + 0.2 is not 1 in floating point; the protected mean must not feel it."""
    parts = tuple(gaussian(w, [w, 0.3], [1.0, 0.0]) for w in (0.1, 0.7, 0.2))
    population = Population(parts)
    assert population.protected.tolist() == [False, True]
    assert float(population.mean[1]) == 0.3
    assert float(population.covariance[1, 1]) == 0.0


def test_weights_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"sum to 0\.75"):
        Population((gaussian(0.5, [0.0], [1.0]), gaussian(0.25, [0.0], [1.0])))


def test_components_must_protect_the_same_heads_at_the_same_mean() -> None:
    with pytest.raises(InvalidInput, match="head 1 has zero variance in one component"):
        Population((gaussian(0.5, [0.0, 1.0], [1.0, 0.0]), gaussian(0.5, [0.0, 1.0], [1.0, 1.0])))
    with pytest.raises(InvalidInput, match="head 0 has zero variance in one component"):
        Population((gaussian(0.5, [0.0], [0.0]), gaussian(0.5, [1.0], [0.0])))


def test_components_of_different_sizes_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"mean has shape \(1,\); expected 2"):
        Population((gaussian(0.5, [0.0, 0.0], [1.0, 1.0]), gaussian(0.5, [0.0], [1.0])))


def test_an_indefinite_covariance_is_refused() -> None:
    indefinite = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    with pytest.raises(InvalidInput, match="eigenvalue -1"):
        Population((Component(1.0, torch.zeros(2, dtype=torch.float64), indefinite),))


def test_an_asymmetric_covariance_is_refused() -> None:
    lopsided = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
    with pytest.raises(InvalidInput, match="not symmetric"):
        Component(1.0, torch.zeros(2, dtype=torch.float64), lopsided)


def test_more_heads_than_the_limit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="33 heads; a population holds 1 to 32"):
        gaussian(1.0, [0.0] * 33, [1.0] * 33)


def test_a_value_that_is_not_finite_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"mean\[1\] = nan"):
        gaussian(1.0, [0.0, float("nan")], [1.0, 1.0])


def test_single_precision_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"mean holds torch\.float32"):
        Component(1.0, torch.zeros(1), torch.eye(1))


def test_an_empty_population_is_refused() -> None:
    with pytest.raises(InvalidInput, match="0 components"):
        Population(())
