"""Statistics against brute force, scikit-learn, and bootstraps of known distributions."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss
from torch import Tensor

from elicitation.statistics import (
    TAIL,
    Interval,
    auc,
    bin_of,
    brier,
    brier_skill,
    calibration_error,
    everybody_first,
    mean_interval,
    percentiles,
    person_picks,
    person_weights,
    weighted_mean,
    win_share,
)

PEOPLE, N = 6, 40


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def judgments(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Chances in tenths, so that many tie, outcomes, and the person of each."""
    generator = seeded(seed)
    chance = torch.randint(11, (N,), generator=generator).double() / 10
    outcome = torch.randint(2, (N,), generator=generator).double()
    return chance, outcome, torch.randint(PEOPLE, (N,), generator=generator)


def repeated(weights: Tensor, person: Tensor) -> Tensor:
    """Rows of the judgments, each as often as its person counts in ``weights`` (P,)."""
    return torch.arange(len(person)).repeat_interleave(weights[person].long())


def alone() -> Tensor:
    return torch.ones(1, PEOPLE, dtype=torch.float64)


class TestResampling:
    def test_weights_count_the_picks_of_the_same_generator(self) -> None:
        picks, weights = person_picks(seeded(3), 50, 4, 9), person_weights(seeded(3), 50, 4, 9)
        counted = torch.stack([(picks == person).sum(-1) for person in range(9)], dim=-1)
        assert torch.equal(weights, counted.double())
        assert bool((weights.sum(-1) == 9).all())

    def test_a_draw_may_add_any_amount(self) -> None:
        halves = person_weights(seeded(), 20, PEOPLE, each=0.5)
        assert torch.equal(halves, person_weights(seeded(), 20, PEOPLE) / 2)

    def test_everybody_comes_first_and_once(self) -> None:
        weights = person_weights(seeded(), 5, 3, PEOPLE)
        assert torch.equal(everybody_first(weights)[0], torch.ones(3, PEOPLE, dtype=torch.float64))
        assert torch.equal(everybody_first(weights)[1:], weights)

    def test_people_are_drawn_with_equal_chances(self) -> None:
        """Each of P people is left out of a draw with chance (1 − 1/P)^P."""
        weights = person_weights(seeded(), 20_000, PEOPLE)
        torch.testing.assert_close(weights.mean(0), torch.ones(PEOPLE, dtype=torch.float64), atol=0.03, rtol=0)
        missing = (weights == 0).double().mean(0)
        expected = torch.full((PEOPLE,), (1 - 1 / PEOPLE) ** PEOPLE, dtype=torch.float64)
        torch.testing.assert_close(missing, expected, atol=0.02, rtol=0)


class TestInterval:
    def test_it_holds_the_middle_95_percent_of_the_draws(self) -> None:
        draws = torch.cat([torch.tensor([7.0]), torch.arange(1001.0)]).double()
        assert Interval.of(draws) == Interval(7.0, pytest.approx(25.0), pytest.approx(975.0))

    def test_undefined_draws_are_left_out(self) -> None:
        draws = torch.arange(1001.0, dtype=torch.float64)
        undefined = torch.full((500,), torch.nan, dtype=torch.float64)
        assert percentiles(torch.cat([undefined, draws])) == percentiles(draws)

    def test_another_tail_is_another_coverage(self) -> None:
        draws = torch.arange(101.0, dtype=torch.float64)
        assert percentiles(draws, 0.25) == (25.0, 75.0)
        assert percentiles(draws) == percentiles(draws, TAIL)

    def test_the_mean_of_equal_people_is_certain(self) -> None:
        assert mean_interval(torch.full((4,), 0.25, dtype=torch.float64), 100, seeded()) == Interval(0.25, 0.25, 0.25)

    def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says(self) -> None:
        """300 samples of 60 exponential people with mean 1; a bootstrap of so few covers slightly less than 95 %."""
        generator, covered = seeded(5), 0
        for _ in range(300):
            values = -torch.rand(60, generator=generator, dtype=torch.float64).log()
            found = mean_interval(values, 400, generator)
            covered += found.low <= 1 <= found.high
        assert 0.89 <= covered / 300 <= 0.98

    def test_the_interval_of_a_mean_is_the_normal_one_for_many_people(self) -> None:
        values = torch.randn(2000, generator=seeded(), dtype=torch.float64)
        found, error = mean_interval(values, 4000, seeded()), 1.96 / 2000**0.5
        assert found.value == pytest.approx(float(values.mean()))
        assert (found.low, found.high) == pytest.approx((found.value - error, found.value + error), abs=0.1 * error)


class TestWeightedMeasures:
    @given(seed=st.integers(0, 10_000))
    def test_auc_is_the_share_of_all_pairs_with_ties_at_one_half(self, seed: int) -> None:
        score, outcome, person = judgments(seed)
        weights = person_weights(seeded(seed), 3, PEOPLE)
        for row, found in zip(weights, auc(score, outcome, person, weights).tolist(), strict=True):
            rows = repeated(row, person)
            events, others = (score[rows][outcome[rows] == side].tolist() for side in (1, 0))
            wins = [(a > b) + 0.5 * (a == b) for a, b in product(events, others)]
            assert found == pytest.approx(sum(wins) / len(wins) if wins else float("nan"), nan_ok=True)

    def test_auc_of_more_rows_than_are_taken_together_is_that_of_each_row(self) -> None:
        score, outcome, person = judgments(1)
        weights = person_weights(seeded(), 230, PEOPLE)
        alone = torch.cat([auc(score, outcome, person, row[None]) for row in weights])
        torch.testing.assert_close(auc(score, outcome, person, weights), alone, equal_nan=True)

    @pytest.mark.parametrize("bins", [1, 10, 15])
    @given(seed=st.integers(0, 10_000))
    def test_calibration_error_is_the_sum_over_bins(self, bins: int, seed: int) -> None:
        _, outcome, person = judgments(seed)
        chance = torch.rand(N, generator=seeded(seed), dtype=torch.float64)
        weights = person_weights(seeded(seed), 3, PEOPLE)
        found = calibration_error(chance, outcome, person, weights, bins)
        for row, error in zip(weights, found.tolist(), strict=True):
            rows = repeated(row, person).tolist()
            gaps = [0.0] * bins
            for i in rows:
                gaps[int(float(chance[i]) * bins)] += float(chance[i] - outcome[i])
            expected = sum(map(abs, gaps)) / len(rows) if rows else float("nan")
            assert error == pytest.approx(expected, nan_ok=True)

    def test_calibration_error_by_hand(self) -> None:
        """Of 10 bins the last holds 0.95 and 1, which both happened; 0.31 and 0.39 share one, and half of them did."""
        chance = torch.tensor([0.95, 1.0, 0.31, 0.39], dtype=torch.float64)
        outcome, person = torch.tensor([1.0, 1.0, 0.0, 1.0], dtype=torch.float64), torch.zeros(4, dtype=torch.long)
        error = calibration_error(chance, outcome, person, torch.ones(1, 1, dtype=torch.float64), 10)
        assert float(error) == pytest.approx((0.05 + 0.3) / 4)

    def test_a_chance_of_1_is_in_the_last_bin(self) -> None:
        assert bin_of(torch.tensor([0.0, 0.09, 0.1, 0.99, 1.0]), 10).tolist() == [0, 0, 1, 9, 9]

    @given(seed=st.integers(0, 10_000))
    def test_a_mean_counts_people_as_often_as_they_weigh(self, seed: int) -> None:
        values, _, person = judgments(seed)
        weights = person_weights(seeded(seed), 3, PEOPLE)
        for row, found in zip(weights, weighted_mean(values, person, weights).tolist(), strict=True):
            assert found == pytest.approx(float(values[repeated(row, person)].mean()), nan_ok=True)


class TestBrier:
    def test_it_is_the_librarys(self) -> None:
        chance, outcome, person = judgments(2)
        assert brier(chance, outcome) == pytest.approx(brier_score_loss(outcome.numpy(), chance.numpy()))
        by_person = weighted_mean((chance - outcome).square(), person, alone())
        assert float(by_person) == pytest.approx(brier(chance, outcome))

    def test_skill_is_what_is_saved_of_the_base_rates_score(self) -> None:
        chance, outcome, _ = judgments(2)
        rate = outcome.mean().expand(N)
        assert brier_skill(chance, outcome) == pytest.approx(1 - brier(chance, outcome) / brier(rate, outcome))
        assert brier_skill(rate, outcome) == pytest.approx(0)
        assert brier_skill(outcome, outcome) == 1

    def test_skill_is_undefined_where_one_thing_always_happened(self) -> None:
        ones = torch.ones(3, dtype=torch.float64)
        assert brier_skill(ones / 2, ones) != brier_skill(ones / 2, ones)


def test_an_exact_tie_is_half_a_win() -> None:
    assert win_share(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [2.0, 3.0]])).tolist() == [0.75, 0.25, 1.0]
