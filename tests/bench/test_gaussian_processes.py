"""Gaussian processes per person, with EUBO and BALD."""

from collections.abc import Callable

import pytest
import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from fitted_peers import outcomes
from torch import Tensor

from bench.compare.method import Method
from bench.compare.peers.answers import Answers
from bench.compare.peers.gp import (
    GpBelief,
    bald,
    eubo,
    fitted,
    linear_kernel,
    rbf_kernel,
    scaled_heads,
)
from bench.compare.world import World
from elicitation.crowd import Crowd

pytestmark = pytest.mark.slow

GP_PEOPLE = 5


@pytest.fixture(scope="module")
def points(diverse: World) -> tuple[Tensor, Tensor]:
    """Twelve points of eight answers, and which beats which."""
    generator = torch.Generator().manual_seed(3)
    return (
        torch.rand(12, 3, generator=generator, dtype=torch.float64) - 0.5,
        torch.tensor([[0, 1], [2, 3], [4, 5], [7, 6], [8, 9], [11, 10]]),
    )


def test_a_linear_kernel_sees_nothing_but_the_difference(points: tuple[Tensor, Tensor]) -> None:
    model = fitted(*points, linear_kernel)
    pairs = torch.stack([points[0][:4], points[0][4:8]], 1)
    with torch.no_grad():
        torch.testing.assert_close(bald(model, pairs), bald(model, pairs + 0.2), rtol=0, atol=1e-4)


def test_eubo_and_bald_agree_with_draws_of_the_utilities(points: tuple[Tensor, Tensor]) -> None:
    model = fitted(*points, rbf_kernel)
    pairs = torch.stack([points[0][:4], points[0][4:8]], 1)
    with torch.no_grad():
        torch.manual_seed(0)
        utilities = model.posterior(pairs)
        assert isinstance(utilities, GPyTorchPosterior)
        draws = utilities.distribution.sample(torch.Size([200_000]))
        best = draws.amax(-1).mean(0)
        p = torch.special.ndtr((draws[..., 0] - draws[..., 1]) / 2**0.5)
        surprise = _entropy(p.mean(0)) - _entropy(p).mean(0)
        torch.testing.assert_close(eubo(model, pairs), best, rtol=0, atol=0.02)
        torch.testing.assert_close(bald(model, pairs), surprise, rtol=0, atol=2e-3)


def test_a_gaussian_process_waits_for_a_decided_answer(
    diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    two_ties = Crowd(
        torch.ones(2, 8, dtype=torch.float64), torch.tensor([0, 0]), outcomes(torch.tensor([1, 1])), GP_PEOPLE
    )
    belief = fitted_to("gp-linear-eubo", diverse).believe(two_ties)
    assert isinstance(belief, GpBelief)
    assert belief.models == (None,) * GP_PEOPLE


def test_a_tie_leaves_a_gaussian_process_as_it_was(diverse: World, fitted_to: Callable[[str, World], Method]) -> None:
    method = fitted_to("gp-linear-eubo", diverse)
    pairs = torch.eye(2, 8, dtype=torch.float64)
    once, twice, decided = (
        Crowd(pairs[: len(said)], torch.zeros(len(said), dtype=torch.long), outcomes(torch.tensor(said)), GP_PEOPLE)
        for said in ([0], [0, 1], [0, 2])
    )
    (first, *_), (tied, *_), (moved, *_) = (method.believe(observed).models for observed in (once, twice, decided))
    assert first is not None
    assert tied is first
    assert moved is not first


def test_a_gaussian_process_waits_for_a_pair_that_its_heads_tell_apart(
    diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    nothing = Crowd(torch.zeros(1, 8, dtype=torch.float64), torch.tensor([0]), outcomes(torch.tensor([0])), GP_PEOPLE)
    belief = fitted_to("gp-linear-eubo", diverse).believe(nothing)
    assert isinstance(belief, GpBelief)
    assert belief.models == (None,) * GP_PEOPLE


def test_items_of_the_gaussian_processes_lie_in_the_unit_cube(diverse: World) -> None:
    seen = Answers.of_training(diverse).differences @ scaled_heads(diverse).T
    torch.testing.assert_close(seen.abs().amax(0), torch.ones(seen.shape[1], dtype=torch.float64))


def _entropy(p: Tensor) -> Tensor:
    total: Tensor = torch.special.entr(p) + torch.special.entr(1 - p)
    return total
