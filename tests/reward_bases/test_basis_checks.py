"""Checks of heads: length, likeness and spread, within prompts."""

import pytest
import torch

from reward_bases.recipe.checks import alike, check_heads

P, N = 40, 6
NOISE = torch.randn(P, N, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
WORDS = (NOISE[..., 0] + 6).exp().round()


def phi_of(*columns: torch.Tensor) -> torch.Tensor:
    return torch.stack(columns, -1)


def test_a_head_that_counts_words_is_length_and_noise_is_not() -> None:
    counts, noise = check_heads(["counts", "noise"], phi_of(WORDS.log1p() * 3, NOISE[..., 1]), WORDS)
    assert counts.length == pytest.approx(1)
    assert noise.length < 0.05
    assert any("mostly length" in said for said in counts.warnings)
    assert not noise.warnings


def test_the_share_of_length_is_r_squared_of_a_regression_within_prompts() -> None:
    mixed = 0.6 * WORDS.log1p() + NOISE[..., 1] + torch.arange(P)[:, None]
    (found,) = check_heads(["mixed"], mixed[..., None], WORDS)
    x, y = (values - values.mean(1, keepdim=True) for values in (WORDS.log1p(), mixed))
    slope = (x * y).sum() / x.square().sum()
    assert found.length == pytest.approx(1 - float((y - slope * x).square().sum() / y.square().sum()))
    assert (found.nearest, found.correlation) == (None, 0.0)


def test_two_heads_that_are_one_are_named_whatever_their_sign_and_size() -> None:
    phi = phi_of(NOISE[..., 1], -7 * NOISE[..., 1] + torch.arange(P)[:, None], NOISE[..., 2])
    one, other, third = check_heads(["one", "other", "third"], phi, WORDS)
    assert (one.nearest, other.nearest) == ("other", "one")
    assert one.correlation == pytest.approx(-1)
    assert alike((one, other, third)) == ("one and other are nearly one head: correlation -1.00",)
    assert abs(third.correlation) < 0.2


def test_a_head_that_differs_between_prompts_alone_has_no_spread_and_is_like_nothing() -> None:
    flat, noise = check_heads(
        ["flat", "noise"], phi_of(torch.arange(P)[:, None].expand(P, N) * 1.0, NOISE[..., 1]), WORDS
    )
    assert (flat.spread, flat.length, flat.correlation, noise.correlation) == (0, 0, 0, 0)
    assert any("hardly differs" in said for said in flat.warnings)
