"""Predicted choices, against draws from the posterior."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.errors import InvalidInput
from elicitation.population import Component
from elicitation.posterior import Posterior
from elicitation.predict import predict
from elicitation.quadrature import gauss_hermite


def test_predictions_are_the_average_over_draws_of_the_coefficients(
    posterior: Posterior,
    model: ChoiceModel,
    draw_coefficients: Callable[[Posterior, int], Tensor],
    generator: torch.Generator,
) -> None:
    differences = 2 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    draws = draw_coefficients(posterior, 100_000) @ differences.T + model.side_bias
    expected = model.probabilities(draws, posterior.consistency).mean(0)
    torch.testing.assert_close(predict(posterior, model, differences), expected, rtol=0, atol=0.005)


def test_predictions_sum_to_one(posterior: Posterior, model: ChoiceModel, generator: torch.Generator) -> None:
    differences = 100 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    total = predict(posterior, model, differences).sum(1)
    torch.testing.assert_close(total, torch.ones(50, dtype=torch.float64))


def test_a_known_coefficient_gives_the_choice_models_own_probabilities(model: ChoiceModel) -> None:
    mean = torch.tensor([1.5, -0.5], dtype=torch.float64)
    known = Posterior((Component(1.0, mean, torch.zeros(2, 2, dtype=torch.float64)),), math.log(2))
    differences = torch.tensor([[1.0, 2.0], [0.3, -0.1]], dtype=torch.float64)
    expected = model.probabilities(differences @ mean + model.side_bias, 2.0)
    torch.testing.assert_close(predict(known, model, differences), expected)


def test_swapping_the_sides_swaps_the_prediction_without_side_bias(posterior: Posterior, fair: ChoiceModel) -> None:
    differences = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(predict(posterior, fair, -differences), predict(posterior, fair, differences).flip(1))


def test_uncertainty_pulls_a_prediction_towards_even() -> None:
    mean, model = torch.tensor([2.0], dtype=torch.float64), ChoiceModel()
    sure, unsure = (
        Posterior((Component(1.0, mean, torch.full((1, 1), variance, dtype=torch.float64)),), 0.0)
        for variance in (0.1, 10.0)
    )
    pair = torch.ones(1, 1, dtype=torch.float64)
    assert 0.5 < float(predict(unsure, model, pair)[0, 0]) < float(predict(sure, model, pair)[0, 0])


def test_unusable_differences_are_refused(posterior: Posterior, model: ChoiceModel) -> None:
    with pytest.raises(InvalidInput, match="expected any x 4"):
        predict(posterior, model, torch.zeros(1, 3, dtype=torch.float64))
    with pytest.raises(InvalidInput, match=r"differences\[0, 0\] = inf"):
        predict(posterior, model, torch.full((1, 4), math.inf, dtype=torch.float64))


@pytest.mark.parametrize("nodes", [1, 7, 32])
def test_the_quadrature_is_exact_for_the_normals_moments(nodes: int) -> None:
    x, w = gauss_hermite(nodes)
    moments = [1.0, 0.0, 1.0, 0.0, 3.0, 0.0, 15.0]
    for power, moment in enumerate(moments[: 2 * nodes]):
        assert float(w @ x**power) == pytest.approx(moment, abs=1e-9)
