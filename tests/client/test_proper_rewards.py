"""Rewards that pay for being right and for saying how sure one is, as properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keel.errors import InvalidArgument
from keel.proper_rewards import clipped, confidence_weighted, correct_brier, moving_average

CHANCE = st.floats(0, 1)
REWARD = st.floats(-20, 20)


def expected(chance: float, stated: float) -> float:
    right, wrong = correct_brier([True, False], [stated, stated])
    return chance * right + (1 - chance) * wrong


class TestCorrectBrier:
    @given(CHANCE, CHANCE)
    def test_no_statement_pays_more_than_the_truth(self, chance: float, stated: float) -> None:
        assert expected(chance, stated) <= expected(chance, chance) + 1e-12
        assert expected(chance, chance) - expected(chance, stated) == pytest.approx((chance - stated) ** 2, abs=1e-12)

    @given(CHANCE, CHANCE)
    def test_being_right_more_often_always_pays_more(self, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert expected(low, low) <= expected(high, high) + 1e-15

    @given(CHANCE, st.booleans())
    def test_it_is_bounded(self, stated: float, correct: bool) -> None:
        (value,) = correct_brier([correct], [stated])
        assert -1 <= value <= 1

    @given(CHANCE)
    def test_a_right_answer_never_gets_less_than_a_wrong_one(self, stated: float) -> None:
        right, wrong = correct_brier([True, False], [stated, stated])
        assert right >= wrong

    @pytest.mark.parametrize("stated", [-0.1, 1.1, float("nan")])
    def test_a_confidence_is_a_chance(self, stated: float) -> None:
        with pytest.raises(InvalidArgument, match=r"confidence\[1\]"):
            correct_brier([True, True], [0.5, stated])

    def test_every_answer_has_a_confidence(self) -> None:
        with pytest.raises(InvalidArgument, match="1 confidences for 2 rows"):
            correct_brier([True, True], [0.5])


class TestConfidenceWeighted:
    @given(REWARD, REWARD, REWARD, CHANCE, st.floats(0, 1.99))
    def test_a_better_response_never_gets_less_at_the_same_confidence(
        self, one: float, other: float, average: float, confidence: float, weight: float
    ) -> None:
        low, high = confidence_weighted(sorted((one, other)), average, [confidence, confidence], weight)
        assert low is not None
        assert high is not None
        assert low <= high + 1e-9

    @given(REWARD, CHANCE, CHANCE)
    def test_confidence_pays_above_the_average_and_costs_below_it(
        self, reward: float, one: float, other: float
    ) -> None:
        for average, sign in ((reward - 1, 1), (reward + 1, -1)):
            timid, bold = confidence_weighted([reward, reward], average, sorted((one, other)), 0.5)
            assert timid is not None
            assert bold is not None
            assert sign * (bold - timid) >= -1e-9

    def test_half_a_confidence_changes_nothing(self) -> None:
        assert confidence_weighted([3, -2], 0.7, [0.5, 0.5], 1.0) == [3, -2]

    def test_a_weight_that_could_turn_the_order_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match="weight = 2"):
            confidence_weighted([1], 0, [1], 2)

    def test_the_average_moves_by_the_batch(self) -> None:
        assert moving_average(1.0, [3, 5], 0.75) == 1.75
        with pytest.raises(InvalidArgument, match="momentum"):
            moving_average(1.0, [3], 1.0)


class TestClipped:
    @given(REWARD, REWARD)
    def test_nothing_is_won_above_the_ceiling_and_nothing_lost_below(self, reward: float, ceiling: float) -> None:
        assert clipped([reward], ceiling) == [min(reward - ceiling, 0)]

    def test_a_ceiling_is_finite(self) -> None:
        with pytest.raises(InvalidArgument, match="ceiling"):
            clipped([1], float("inf"))


class TestRejectedByTheGate:
    def test_a_missing_reward_stays_missing(self) -> None:
        assert clipped([None, 1.0], 2.0) == [None, -1.0]
        assert confidence_weighted([None, 1.0], 0.0, [1.0, 1.0], 1.0) == [None, 1.5]

    def test_a_missing_reward_does_not_move_the_average(self) -> None:
        assert moving_average(1.0, [None, 3, 5], 0.75) == moving_average(1.0, [3, 5], 0.75)
        assert moving_average(1.0, [None], 0.75) == 1.0
