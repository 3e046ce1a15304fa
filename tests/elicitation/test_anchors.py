"""Anchors and a person's own variation: recovery, integration on a grid, invariances."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor

from elicitation.anchors import (
    LEVELS,
    LOG_NOISE_STD,
    NOISE,
    THRESHOLD_STD,
    Level,
    anchors,
    log_probabilities,
    preferred,
)
from elicitation.errors import InvalidInput
from elicitation.population import Component
from elicitation.posterior import Posterior

K = 3


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def belief(mean: Tensor, std: float, consistency: float = 1.0) -> Posterior:
    covariance = torch.diag(torch.full((len(mean),), std**2, dtype=torch.float64))
    return Posterior((Component(1.0, mean, covariance),), math.log(consistency))


def verdicts(n: int, noise: float, seed: int, unsure: float = 0.0, k: int = K) -> tuple[Posterior, Tensor, list[Level]]:
    """Verdicts on n responses of a person whose λ lies ``unsure`` away from the belief; anchors −1 and 1.5."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    phi, mean = normal(n, k), normal(k)
    mean = 2 * mean / mean.norm()
    felt = phi @ (mean + unsure * normal(k)) + noise * normal(n)
    levels = [LEVELS[int(value > -1) + int(value > 1.5)] for value in felt.tolist()]
    return belief(mean, unsure), phi, levels


def on_a_grid(posterior: Posterior, phi: Tensor, levels: list[Level]) -> tuple[float, float]:
    """Posterior mean and standard deviation of ln σ with one head, by integration over (λ, τ₁, τ₂ − τ₁, ln σ)."""
    unit = NOISE / posterior.consistency
    std = float(posterior.covariance[0, 0].sqrt())
    column = torch.tensor([LEVELS.index(level) for level in levels])
    own, lower = std * torch.linspace(-4, 4, 33).double(), torch.linspace(-5, 4, 46).double()
    gap = torch.linspace(0.05, 9, 60).double()
    line = math.log(unit) + LOG_NOISE_STD * torch.linspace(-3.5, 3.5, 41).double()
    grid = torch.cartesian_prod(own, lower, gap)
    prior = -(grid[:, 0] / std).square() / 2 - (grid[:, 1] / THRESHOLD_STD).square() / 2
    prior += (grid[:, 2] / unit).log() - grid[:, 2] / unit
    rewards = (posterior.mean + grid[:, :1]) * phi[:, 0]
    totals = []
    for value in line:
        logs = log_probabilities(rewards, grid[:, 1:2], grid[:, 1:2] + grid[:, 2:], value.exp())
        totals.append((logs[:, torch.arange(len(column)), column].sum(1) + prior).logsumexp(0))
    weights = (torch.stack(totals) - ((line - math.log(unit)) / LOG_NOISE_STD).square() / 2).softmax(0)
    mean = float(weights @ line)
    return mean, float((weights @ (line - mean).square()).sqrt())


@pytest.mark.slow
@pytest.mark.parametrize(("n", "consistency"), [(8, 1.0), (20, 2.0)])
def test_it_agrees_with_integration_on_a_grid(n: int, consistency: float) -> None:
    plain, phi, levels = verdicts(n, 1.2, seed=4, unsure=0.8, k=1)
    posterior = belief(plain.mean, 0.8, consistency)
    found = anchors(posterior, phi, levels)
    mean, std = on_a_grid(posterior, phi, levels)
    assert math.log(found.noise) == pytest.approx(mean, abs=0.1 * std)
    assert found.log_noise_std == pytest.approx(std, rel=0.1)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_the_spread_and_the_anchors_of_a_person_are_found(noise: float) -> None:
    found = anchors(*verdicts(600, noise, seed=1, unsure=0.05))
    assert math.log(found.noise) == pytest.approx(math.log(noise), abs=3 * found.log_noise_std)
    assert found.log_noise_std < 0.12
    assert found.acceptable == pytest.approx(-1, abs=0.4)
    assert found.excellent == pytest.approx(1.5, abs=0.4)
    assert found.known


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say_although_rewards_are_not_known() -> None:
    truths = torch.exp(torch.linspace(-0.5, 1.0, 40)).tolist()
    held = 0
    for seed, noise in enumerate(truths):
        found = anchors(*verdicts(40, noise, seed=seed, unsure=1.0))
        held += abs(math.log(found.noise / noise)) <= 1.645 * found.log_noise_std
    assert held >= 31, "about 90 % of 40"


def test_without_ratings_it_is_the_prior_and_nothing_is_known() -> None:
    found = anchors(belief(tensor(1, 2), 1.0, consistency=2.0), torch.zeros(0, 2, dtype=torch.float64), [])
    assert found.noise == pytest.approx(NOISE / 2)
    assert found.log_noise_std == pytest.approx(LOG_NOISE_STD, rel=0.05)
    assert not found.known


def test_the_priors_noise_is_the_spread_of_the_choice_model() -> None:
    """The difference of two such noises has the standard deviation of a standard logistic."""
    assert math.sqrt(2) * NOISE == pytest.approx(math.pi / math.sqrt(3))


@given(st.floats(-5, 5), st.floats(0.05, 5), st.floats(0.2, 5), st.floats(-20, 20))
def test_the_three_verdicts_share_all_the_probability(lower: float, gap: float, noise: float, reward: float) -> None:
    p = log_probabilities(tensor(reward), tensor(lower), tensor(lower + gap), tensor(noise)).exp()
    upper = [0.5 * math.erfc(-(reward - t) / noise / math.sqrt(2)) for t in (lower, lower + gap)]
    assert float(p.sum()) == pytest.approx(1)
    assert p[0].tolist() == pytest.approx([1 - upper[0], upper[0] - upper[1], upper[1]], abs=1e-12)


@examples(max_examples=3)
@given(st.integers(0, 100))
def test_the_order_of_the_ratings_does_not_matter(seed: int) -> None:
    posterior, phi, levels = verdicts(15, 1.0, seed, unsure=0.5)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(seed))
    mixed = anchors(posterior, phi[order], [levels[i] for i in order.tolist()])
    assert mixed.noise == pytest.approx(anchors(posterior, phi, levels).noise, rel=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_a_person_of_one_verdict_and_extreme_rewards_is_still_estimated(level: Level) -> None:
    phi = torch.linspace(-100, 100, 30, dtype=torch.float64)[:, None]
    found = anchors(belief(tensor(2), 0.5), phi, [level] * 30)
    assert found.acceptable < found.excellent
    assert math.isfinite(found.noise)


@examples(max_examples=20)
@given(st.floats(-6, 6), st.floats(0, 4), st.floats(0.1, 4))
def test_the_chance_of_being_preferred_is_that_of_drawn_verdicts(
    difference: float, variance: float, noise: float
) -> None:
    chance, other = (float(preferred(tensor(way * difference), tensor(variance), noise)) for way in (1, -1))
    assert chance + other == pytest.approx(1)
    generator = torch.Generator().manual_seed(0)
    unsure, left, right = torch.randn(3, 20_000, generator=generator, dtype=torch.float64)
    won = difference + math.sqrt(variance) * unsure + noise * (left - right) > 0
    assert float(won.double().mean()) == pytest.approx(chance, abs=0.02)


def test_there_are_as_many_verdicts_as_responses() -> None:
    with pytest.raises(InvalidInput, match="phi"):
        anchors(belief(tensor(1), 1.0), torch.zeros(2, 1, dtype=torch.float64), [Level.EXCELLENT])
