"""The trade-off table and the stated choice from it."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from safeguards.guard import Budget, Reference, guard, starc
from safeguards.tradeoff import KEEP, Row, choose, draw_people, log_likelihood, tradeoff


@pytest.fixture
def people(aggregate: Tensor, covariance: Tensor, protected: Tensor) -> Tensor:
    free = (~protected).double()
    prior = covariance * free[:, None] * free
    return draw_people(aggregate, prior, 15, torch.Generator().manual_seed(2))


@pytest.fixture
def differences() -> Tensor:
    return 2 * torch.randn(60, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def test_people_have_the_moments_of_the_prior(aggregate: Tensor, covariance: Tensor) -> None:
    drawn = draw_people(aggregate, covariance, 40_000, torch.Generator().manual_seed(2))
    torch.testing.assert_close(drawn.mean(dim=0), aggregate, rtol=0, atol=0.02)
    torch.testing.assert_close(torch.cov(drawn.mT), covariance, rtol=0, atol=0.02)


def test_likelihood_is_the_expectation_over_both_answers(
    people: Tensor, aggregate: Tensor, differences: Tensor
) -> None:
    expected = 0.0
    for v in differences:
        p, q = (1 / (1 + math.exp(-float(coefficients @ v))) for coefficients in (people[0], aggregate))
        expected += p * math.log(q) + (1 - p) * math.log(1 - q)
    value = float(log_likelihood(people, aggregate, differences)[0])
    assert value == pytest.approx(expected / len(differences))


def test_nobody_is_predicted_better_than_by_their_own_coefficients(people: Tensor, differences: Tensor) -> None:
    own = log_likelihood(people, people, differences)
    for shift in torch.eye(5, dtype=torch.float64):
        assert bool((log_likelihood(people, people + 0.1 * shift, differences) < own).all())


class TestTable:
    def rows(self, people: Tensor, aggregate: Tensor, ref: Reference, prot: Tensor, pairs: Tensor) -> tuple[Row, ...]:
        return tradeoff(aggregate, people, ref, prot, pairs, divergences=(0.05, 0.5, 4.0), starcs=(0.2, 1.0))

    def test_it_has_a_row_per_budget_and_loosening_keeps_more(
        self, people: Tensor, aggregate: Tensor, reference: Reference, protected: Tensor, differences: Tensor
    ) -> None:
        rows = self.rows(people, aggregate, reference, protected, differences)
        assert [(r.starc, r.divergence) for r in rows] == [(d, e) for d in (0.2, 1.0) for e in (0.05, 0.5, 4.0)]
        for level in (rows[:3], rows[3:]):
            assert [r.alpha for r in level] == sorted(r.alpha for r in level)
            assert [r.gain_kept for r in level] == sorted(r.gain_kept for r in level)
            assert [r.distance for r in level] == sorted(r.distance for r in level)
        assert all(0 < r.gain_kept <= 1 for r in rows)

    def test_a_row_is_the_mean_over_guarded_people(
        self, people: Tensor, aggregate: Tensor, reference: Reference, protected: Tensor, differences: Tensor
    ) -> None:
        row = self.rows(people, aggregate, reference, protected, differences)[1]
        zero = torch.zeros(5, 5, dtype=torch.float64)
        each = [guard(aggregate, person, zero, reference, Budget(0.5, 0.2), protected) for person in people]
        assert row.alpha == pytest.approx(sum(g.guard.alpha for g in each) / 15)
        distances = [float(starc(g.coefficients, aggregate, reference)) for g in each]
        assert row.distance == pytest.approx(sum(distances) / 15)

    def test_an_unbinding_budget_keeps_everything(
        self, people: Tensor, aggregate: Tensor, reference: Reference, protected: Tensor, differences: Tensor
    ) -> None:
        (row,) = tradeoff(aggregate, people, reference, protected, differences, (1e6,), (1.0,))
        assert row.alpha == 1
        assert row.gain_kept == pytest.approx(1)

    def test_nothing_to_gain_is_refused(
        self, people: Tensor, aggregate: Tensor, reference: Reference, protected: Tensor, differences: Tensor
    ) -> None:
        with pytest.raises(InvalidInput, match="0 people"):
            tradeoff(aggregate, people[:0], reference, protected, differences)
        with pytest.raises(InvalidInput, match="equals the aggregate"):
            tradeoff(aggregate, aggregate.expand(3, -1), reference, protected, differences)


class TestChoice:
    row = Row(0.5, 0.35, alpha=0.8, gain_kept=0.7, distance=0.2, costly_flips=0.05, common_ground_lost=0.05)

    def test_it_takes_the_mildest_budget_that_keeps_enough_of_the_gain(self) -> None:
        mild = replace(self.row, divergence=1.0, gain_kept=KEEP, costly_flips=0.15)
        wild = replace(self.row, divergence=2.0, gain_kept=1.0, costly_flips=0.3)
        tight = replace(self.row, gain_kept=KEEP - 0.01, costly_flips=0.0)
        chosen = choose([wild, tight, mild])
        assert (chosen.row, chosen.qualified) == (mild, True)

    def test_ties_go_to_the_tighter_budget(self) -> None:
        row = replace(self.row, gain_kept=0.9)
        assert choose([replace(row, divergence=1.0), replace(row, starc=0.5), row]).row == row

    def test_if_none_keeps_enough_it_takes_the_one_that_keeps_most_and_says_so(self) -> None:
        most = replace(self.row, gain_kept=0.6, costly_flips=0.3)
        chosen = choose([replace(self.row, gain_kept=0.2), most])
        assert (chosen.row, chosen.qualified) == (most, False)
        assert "no budget" in chosen.reason
        assert "60.0%" in chosen.reason

    def test_no_rows_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="no budgets"):
            choose([])
