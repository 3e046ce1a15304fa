"""The rules and the certificate of a candidate set, against their definitions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from app.ranking import rank_set, rule_values, set_alpha
from app.schemas import RankRule

REWARDS = st.lists(st.floats(-8, 8), min_size=2, max_size=12)


def divergence(own: Tensor, base: Tensor) -> float:
    return float((own.softmax(0) * (own.log_softmax(0) - base.log_softmax(0))).sum())


@given(REWARDS, st.floats(0.01, 2))
def test_the_certified_share_is_the_largest_within_the_budget(values: list[float], budget: float) -> None:
    own = torch.tensor(values, dtype=torch.float64)
    base = own.roll(1) * 0.5
    alpha = set_alpha(own, base, budget)
    assert 0 <= alpha <= 1
    assert divergence(base + alpha * (own - base), base) <= budget + 1e-9
    if alpha < 1:
        assert divergence(base + min(1.0, alpha * 1.001 + 1e-9) * (own - base), base) > budget - 1e-6


def test_lcb_and_pessimism_are_about_differences_within_the_set() -> None:
    """Adding the same φ to every candidate changes no order and no difference of values."""
    generator = torch.Generator().manual_seed(0)
    phi = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    root = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    covariance, passed, rewards = root @ root.T, torch.ones(5, dtype=torch.bool), phi.sum(1)
    for rule in RankRule:
        values = rule_values(rule, rewards, phi, passed, covariance)
        shifted = rule_values(rule, rewards, phi + 7, passed, covariance)
        assert torch.allclose(values, shifted)
    centred = phi - phi.mean(0)
    variance = ((centred @ covariance) * centred).sum(1)
    assert torch.allclose(rule_values(RankRule.LCB, rewards, phi, passed, covariance), rewards - variance.sqrt())
    assert torch.allclose(rule_values(RankRule.PESSIMISTIC, rewards, phi, passed, covariance), rewards - variance / 2)


def test_equal_candidates_keep_the_order_of_the_request() -> None:
    values = torch.tensor([1.0, 2.0, 1.0, 2.0], dtype=torch.float64)
    ranking = rank_set(values, values, torch.ones(4, dtype=torch.bool), 0.5, certify=False)
    assert ranking.order == [1, 3, 0, 2]
    assert ranking.divergence == pytest.approx(0)


def test_a_single_candidate_is_within_any_budget() -> None:
    one = torch.tensor([3.0], dtype=torch.float64)
    ranking = rank_set(one, -one, torch.tensor([True]), 0.1, certify=True)
    assert (ranking.divergence, ranking.alpha, ranking.probability.tolist()) == (0, 1, [1])
