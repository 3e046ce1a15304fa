"""The bounded score and the floor."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from safeguards.guard import Reference
from safeguards.score import FLOOR_MARGIN, Scale, bounded


def values(*xs: float) -> Tensor:
    return torch.tensor(xs, dtype=torch.float64)


class TestBounded:
    def test_it_is_the_normal_distribution_function_within_four_sd(self) -> None:
        x = torch.linspace(-4, 4, 101, dtype=torch.float64)
        expected = [0.5 * math.erfc(-v / math.sqrt(2)) for v in x.tolist()]
        torch.testing.assert_close(bounded(x), torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize(("limit", "step"), [(4.0, 1e-11), (10.0, 1e-9), (1e2, 1e-3), (1e4, 0.1), (1e6, 100.0)])
    def test_it_increases_strictly_over_the_documented_range(self, limit: float, step: float) -> None:
        x = torch.linspace(-limit, limit, 4001, dtype=torch.float64)
        assert bool((bounded(x + step) > bounded(x)).all())

    @given(x=st.floats(-1e6, 1e6))
    def test_it_is_symmetric_and_inside_the_unit_interval(self, x: float) -> None:
        score = float(bounded(values(x)))
        assert 0 < score < 1
        assert score + float(bounded(values(-x))) == pytest.approx(1, abs=1e-15)

    def test_value_and_slope_are_continuous_where_the_tail_begins(self) -> None:
        edges = values(-4, 4)
        h = 1e-6
        left, right = bounded(edges) - bounded(edges - h), bounded(edges + h) - bounded(edges)
        torch.testing.assert_close(left, right, rtol=1e-4, atol=0)


class TestScale:
    def test_std_and_floor_come_from_the_reference_rewards(self, reference: Reference, aggregate: Tensor) -> None:
        scale, rewards = Scale.of(aggregate, reference), reference.phi @ aggregate
        assert scale.std == pytest.approx(float(rewards.std(correction=0)))
        assert scale.floor == pytest.approx(float(rewards.min()) - scale.std)
        assert scale.lowest == pytest.approx(scale.floor + FLOOR_MARGIN * scale.std)

    def test_a_constant_reward_still_has_a_floor_below_it(self, reference: Reference) -> None:
        assert Scale.of(torch.zeros(reference.k, dtype=torch.float64), reference) == Scale(1.0, -1.0, -0.99)
