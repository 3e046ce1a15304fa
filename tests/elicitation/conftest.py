"""Small populations, choice models and random answers shared by the tests."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from elicitation.choice import OUTCOMES, ChoiceModel
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, Posterior, infer

# The matrices are small: threads would wait for one another longer than they compute.
torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    """GPyTorch's linear_operator compiles with torch.jit.script at import, which torch now deprecates."""
    config.addinivalue_line("filterwarnings", r"ignore:.*torch\.jit\.script.*:DeprecationWarning")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20)


@pytest.fixture
def model() -> ChoiceModel:
    return ChoiceModel(tie=0.4, side_bias=0.1, lapse=0.05, clear_threshold=1.2, log_consistency_std=0.3)


@pytest.fixture
def fair(model: ChoiceModel) -> ChoiceModel:
    """Without side bias."""
    return ChoiceModel(0.4, 0.0, model.lapse, model.clear_threshold, model.log_consistency_std)


@pytest.fixture
def draw_population(generator: torch.Generator) -> Callable[..., Population]:
    def draw(k: int, components: int = 1, scale: float = 1.0) -> Population:
        parts = []
        for _ in range(components):
            root = torch.randn(k, k, generator=generator, dtype=torch.float64)
            mean = torch.randn(k, generator=generator, dtype=torch.float64) / 2
            parts.append(Component(1 / components, mean, scale * root @ root.T / k))
        return Population(tuple(parts))

    return draw


@pytest.fixture
def draw_evidence(generator: torch.Generator) -> Callable[..., Evidence]:
    def draw(n: int, k: int, coefficients: Tensor, model: ChoiceModel) -> Evidence:
        differences = torch.randn(n, k, generator=generator, dtype=torch.float64)
        p = model.probabilities(differences @ coefficients + model.side_bias)
        columns = torch.multinomial(p, 1, generator=generator).squeeze(-1).tolist()
        return Evidence(differences, tuple(OUTCOMES[column] for column in columns), (None,) * n)

    return draw


@pytest.fixture
def posterior(
    draw_population: Callable[..., Population], draw_evidence: Callable[..., Evidence], model: ChoiceModel
) -> Posterior:
    """A posterior over four heads with two components after five answers."""
    population = draw_population(4, components=2)
    return infer(population, model, draw_evidence(5, 4, torch.ones(4, dtype=torch.float64), model))


@pytest.fixture
def draw_coefficients(generator: torch.Generator) -> Callable[[Posterior, int], Tensor]:
    """λ (n, K) drawn from a posterior mixture."""

    def draw(posterior: Posterior, n: int) -> Tensor:
        weights = torch.tensor([component.weight for component in posterior.components], dtype=torch.float64)
        which = torch.multinomial(weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, posterior.k, generator=generator, dtype=torch.float64)
        draws = torch.empty_like(noise)
        for index, component in enumerate(posterior.components):
            rows = which == index
            draws[rows] = component.mean + noise[rows] @ torch.linalg.cholesky(component.covariance).T
        return draws

    return draw
