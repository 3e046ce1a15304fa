"""Searching for the best candidate: forecasts by conditioning, the doubt by drawing, and the promise that it makes."""

import pytest
import torch
from torch import Tensor

from safeguards.robust.search import Forecast, SlowHeads

SLOW = torch.tensor([False, True, False, True])
SLOPE = torch.tensor([[0.5, -1.0], [2.0, 0.0]], dtype=torch.float64)
COEFFICIENTS = torch.tensor([1.0, 0.5, -0.3, 0.8], dtype=torch.float64)


def drawn(sets: int, size: int, seed: int = 0, between: float = 0.7) -> Tensor:
    """φ (sets, size, 4): slow heads follow the quick ones with SLOPE, a mean of 3 and a standard deviation of 1."""
    draw = torch.Generator().manual_seed(seed)
    quick = torch.randn(sets, size, 2, generator=draw, dtype=torch.float64)
    offsets = 3 + between * torch.randn(sets, 1, 2, generator=draw, dtype=torch.float64)
    slow = quick @ SLOPE + offsets + torch.randn(sets, size, 2, generator=draw, dtype=torch.float64)
    return torch.stack([quick[..., 0], slow[..., 0], quick[..., 1], slow[..., 1]], -1)


def forecast() -> Forecast:
    return Forecast(torch.tensor([0.3, -0.2, 0.8, 0.1, 0.5], dtype=torch.float64), between=0.6, within=0.4)


def test_the_reference_set_gives_slope_mean_and_both_variances() -> None:
    heads = SlowHeads.of(drawn(4000, 16), SLOW)
    torch.testing.assert_close(heads.slope, SLOPE, atol=0.02, rtol=0)
    torch.testing.assert_close(heads.mean, torch.full((2,), 3.0, dtype=torch.float64), atol=0.05, rtol=0)
    torch.testing.assert_close(heads.within, torch.eye(2, dtype=torch.float64), atol=0.02, rtol=0)
    torch.testing.assert_close(heads.between, 0.49 * torch.eye(2, dtype=torch.float64), atol=0.04, rtol=0)


def test_a_forecast_looks_at_no_slow_head() -> None:
    heads, (phi,) = SlowHeads.of(drawn(200, 16), SLOW), drawn(1, 5, seed=1)
    hidden = phi.masked_fill(SLOW, float("nan"))
    assert torch.equal(heads.forecast(hidden, COEFFICIENTS).expected, heads.forecast(phi, COEFFICIENTS).expected)


def test_what_was_asked_moves_the_others_as_a_normal_distribution_says() -> None:
    before = forecast()
    asked = torch.tensor([True, False, True, False, False])
    rewards = torch.tensor([2.0, 0.0, 1.1, 0.0, 0.0], dtype=torch.float64)
    covariance = before.between * torch.ones(5, 5) + before.within * torch.eye(5)
    part = covariance.double()
    gain = part[~asked][:, asked] @ part[asked][:, asked].inverse()
    expected = before.expected[~asked] + gain @ (rewards - before.expected)[asked]
    outlook = before.after(asked, rewards)
    torch.testing.assert_close(outlook.expected[~asked], expected)
    assert torch.equal(outlook.expected[asked], rewards[asked])
    assert outlook.next == 4


def test_the_doubt_is_the_share_of_draws_in_which_another_is_better() -> None:
    before, asked = forecast(), torch.tensor([True, False, True, False, False])
    rewards = torch.tensor([0.4, 0.0, 1.1, 0.0, 0.0], dtype=torch.float64)
    covariance = before.between * torch.ones(5, 5, dtype=torch.float64) + before.within * torch.eye(5).double()
    gain = covariance[~asked][:, asked] @ covariance[asked][:, asked].inverse()
    left = covariance[~asked][:, ~asked] - gain @ covariance[asked][:, ~asked]
    outlook = before.after(asked, rewards)
    noise = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws = outlook.expected[~asked] + noise @ torch.linalg.cholesky(left).T
    assert outlook.doubt == pytest.approx(float((draws > 1.1).any(1).double().mean()), abs=0.005)


def test_nothing_asked_is_all_doubt_and_all_asked_is_none() -> None:
    before, nobody = forecast(), torch.zeros(5, dtype=torch.bool)
    start, end = before.after(nobody, torch.zeros(5)), before.after(~nobody, before.expected)
    assert (start.doubt, start.next) == (1.0, 2)
    assert (end.doubt, end.next) == (0.0, None)


def test_heads_that_say_all_leave_no_doubt_after_the_first() -> None:
    phi = drawn(50, 8)
    phi[..., 1], phi[..., 3] = 2 * phi[..., 0], phi[..., 2] - phi[..., 0]
    sure = SlowHeads.of(phi, SLOW).forecast(phi[0], COEFFICIENTS)
    rewards = phi[0] @ COEFFICIENTS
    first = sure.after(torch.zeros(8, dtype=torch.bool), rewards).next
    assert first == int(rewards.argmax())
    assert sure.after(torch.arange(8) == first, rewards).doubt == pytest.approx(0, abs=1e-6)


def test_without_slow_heads_the_forecast_is_the_reward() -> None:
    (phi,) = drawn(1, 6)
    quick = SlowHeads.of(drawn(20, 6), torch.zeros(4, dtype=torch.bool)).forecast(phi, COEFFICIENTS)
    torch.testing.assert_close(quick.expected, phi @ COEFFICIENTS)
    assert (quick.between, quick.within) == (0.0, 0.0)


@pytest.mark.parametrize("allowed", [0.05, 0.2])
def test_a_search_misses_the_best_no_more_often_than_allowed(allowed: float) -> None:
    heads, missed, calls, sets = SlowHeads.of(drawn(200, 16), SLOW), 0, 0, drawn(500, 16, seed=1)
    for phi in sets:
        rewards, asked = phi @ COEFFICIENTS, torch.zeros(16, dtype=torch.bool)
        before = heads.forecast(phi, COEFFICIENTS)
        while (outlook := before.after(asked, rewards)).doubt > allowed and outlook.next is not None:
            asked[outlook.next] = True
        missed += not bool(asked[rewards.argmax()])
        calls += int(asked.sum())
    assert missed <= 1.2 * allowed * len(sets)
    assert calls < 0.5 * sets.shape[0] * sets.shape[1]
