"""A population learned from people's answers."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from elicitation.choice import ChoiceModel, Outcomes
from elicitation.crowd import Crowd
from elicitation.empirical import divided, learn, moments, with_covariance_scaled, with_mean_shrunk
from elicitation.errors import InvalidInput
from elicitation.population import Component, Population

MODEL = ChoiceModel(tie=0.3, lapse=0.0, log_consistency_std=0.0)


def gaussian(mean: list[float], covariance: Tensor) -> Population:
    return Population((Component(1.0, torch.tensor(mean).double(), covariance.double()),))


def answering(tastes: Tensor, each: int, seed: int = 0) -> Crowd:
    """People with coefficients ``tastes`` (P, K) who answer ``each`` random questions by MODEL."""
    generator = torch.Generator().manual_seed(seed)
    who = torch.arange(len(tastes)).repeat_interleave(each)
    x = torch.randn(len(who), tastes.shape[1], generator=generator).double()
    column = torch.multinomial(MODEL.probabilities((x * tastes[who]).sum(1)), 1, generator=generator).squeeze(1)
    return Crowd(x, who, Outcomes(column, (1 - column).double(), torch.zeros(len(who)).double()), len(tastes))


def drawn(mean: list[float], root: Tensor, people: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.tensor(mean).double() + torch.randn(people, len(mean), generator=generator).double() @ root.double().T


def test_the_population_that_made_the_answers_is_recovered() -> None:
    root = torch.tensor([[1.0, 0.0], [0.6, 0.5]])
    crowd = answering(drawn([0.8, -0.4], root, people=1500), each=20)
    fit = learn(crowd, MODEL, gaussian([0.0, 0.0], torch.eye(2)), rounds=60)
    torch.testing.assert_close(fit.population.mean, torch.tensor([0.8, -0.4]).double(), atol=0.1, rtol=0)
    # Laplace's approximation makes spreads somewhat too small; the scale chosen on held-out people makes up for it.
    torch.testing.assert_close(fit.population.covariance, (root @ root.T).double(), atol=0.25, rtol=0)


def test_the_evidence_rises_with_every_round() -> None:
    crowd = answering(drawn([0.5, 0.0], 0.7 * torch.eye(2), people=100), each=10)
    path = learn(crowd, MODEL, gaussian([0.0, 0.0], 2 * torch.eye(2)), rounds=15).log_evidence
    # Laplace's evidence is not exactly the marginal likelihood that EM climbs.
    assert all(later > earlier - 1e-3 * crowd.size for earlier, later in pairwise(path))
    assert path[-1] > path[0] + 1


def test_people_who_agree_leave_no_spread_to_personalise() -> None:
    crowd = answering(torch.tensor([[1.0, -1.0]]).double().expand(400, 2), each=15)
    fit = learn(crowd, MODEL, gaussian([0.0, 0.0], torch.eye(2)), rounds=60)
    assert float(fit.population.covariance.diagonal().max()) < 0.1


def test_a_protected_head_stays() -> None:
    crowd = answering(drawn([0.5, 0.9], torch.eye(2), people=50), each=10)
    start = gaussian([0.0, 0.25], torch.diag(torch.tensor([1.0, 0.0])))
    population = learn(crowd, MODEL, start, rounds=10).population
    assert population.protected.tolist() == [False, True]
    assert float(population.mean[1]) == 0.25


def test_two_kinds_of_people_are_distinguished() -> None:
    kinds = torch.tensor([[2.0, 0.0], [-2.0, 0.0]]).double()
    tastes = kinds.repeat(200, 1) + 0.2 * drawn([0.0, 0.0], torch.eye(2), people=400)
    crowd = answering(tastes, each=20)
    one = learn(crowd, MODEL, gaussian([0.0, 0.0], torch.eye(2)), rounds=40)
    start = divided(one.population, 2, torch.Generator().manual_seed(0))
    two = learn(crowd, MODEL, start, rounds=40)
    assert two.log_evidence[-1] > one.log_evidence[-1] + 10
    assert sorted(float(part.mean[0]) for part in two.population.components) == pytest.approx([-2, 2], abs=0.3)


def test_sums_over_people_are_all_that_learning_needs() -> None:
    """Without a person, the sums are those of the others."""
    population = gaussian([0.1, 0.2], torch.eye(2))
    crowd = answering(drawn([0.5, 0.0], torch.eye(2), people=6), each=5)
    others = Crowd(crowd.differences[5:], crowd.people[5:] - 1, crowd.outcomes[slice(5, None)], 5)
    first = Crowd(crowd.differences[:5], crowd.people[:5], crowd.outcomes[slice(0, 5)], 1)
    whole, parts = (
        moments(crowd, MODEL, population)[0],
        moments(others, MODEL, population)[0] + moments(first, MODEL, population)[0],
    )
    torch.testing.assert_close(whole.first, parts.first)
    torch.testing.assert_close(whole.second, parts.second)
    assert whole.log_evidence == pytest.approx(parts.log_evidence)


def test_a_smaller_covariance_scale_makes_a_population_narrower_around_the_same_mean() -> None:
    population = gaussian([0.1, 0.2], torch.eye(2))
    assert torch.equal(with_covariance_scaled(population, 0.25).covariance, 0.25 * torch.eye(2).double())
    assert torch.equal(with_covariance_scaled(population, 0.25).mean, population.mean)


def test_a_shrunk_mean_leaves_the_differences_between_people() -> None:
    """Both of a mixture's components move by the same step."""
    parts = [Component(0.25, torch.tensor([2.0, 0.0]).double(), torch.eye(2).double())]
    parts.append(Component(0.75, torch.tensor([0.0, 4.0]).double(), torch.eye(2).double()))
    population = Population(tuple(parts))
    shrunk = with_mean_shrunk(population, 0.5)
    torch.testing.assert_close(shrunk.mean, population.mean / 2)
    torch.testing.assert_close(shrunk.covariance, population.covariance)


def test_nobody_is_no_population() -> None:
    nobody = answering(torch.zeros(0, 2).double(), each=3)
    with pytest.raises(InvalidInput, match="0 people"):
        learn(nobody, MODEL, gaussian([0.0, 0.0], torch.eye(2)), rounds=1)
