"""The agreement band holds every profile, however extreme, to ±c, by the least change that does."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elicitation.errors import InvalidInput
from safeguards.band import COUNTERWEIGHT_STD, Band, hold_all
from safeguards.guard import Budget, Reference, divergences, guard, starc

K = 5
LIMIT = 0.05
DIRECTION = torch.tensor([0.6, -0.4, 0.1, 0.2, 1.5], dtype=torch.float64)
SECOND = torch.tensor([-0.2, 0.5, 0.3, 0.0, 0.0], dtype=torch.float64)
LAST = torch.tensor([False, False, False, False, True])
NOTHING = torch.zeros(K, dtype=torch.bool)
LOOSE = Budget(divergence=1e6, starc=1.0)
vectors = st.lists(st.floats(-1, 1), min_size=K, max_size=K).map(lambda xs: torch.tensor(xs, dtype=torch.float64))
exponents = st.floats(-6, 6)


@pytest.fixture(scope="module")
def prior(covariance: Tensor) -> Tensor:
    """Σ, without variance in the last, protected head."""
    free = (~LAST).double()
    return covariance * free[:, None] * free


@pytest.fixture(scope="module")
def bands(prior: Tensor) -> tuple[Band, ...]:
    return (band(prior), Band.of("implicit", SECOND, prior, LAST, LIMIT, active=True))


def band(prior: Tensor, counterweight: Tensor = LAST, limit: float = LIMIT, active: bool = True) -> Band:
    return Band.of("explicit", DIRECTION, prior, counterweight, limit, active)


class TestOneBand:
    @settings(deadline=None)
    @given(direction=vectors, exponent=exponents)
    def test_no_coefficients_lean_further_than_the_limit(
        self, direction: Tensor, exponent: float, aggregate: Tensor, prior: Tensor
    ) -> None:
        held = band(prior).hold(aggregate + 10**exponent * direction, aggregate)
        assert float(band(prior).lean(held, aggregate).abs()) <= LIMIT + 1e-9 * 10**exponent

    def test_it_is_the_stated_formula_without_a_counterweight(self, aggregate: Tensor, prior: Tensor) -> None:
        bare = band(prior, counterweight=NOTHING)
        free = DIRECTION * (~LAST).double()
        for sign in (1.0, -1.0):
            mean = aggregate + sign * torch.tensor([1.0, -2.0, 0.5, 0.3, 0.0], dtype=torch.float64)
            e = float(free @ (mean - aggregate))
            expected = mean - prior @ free * (abs(e) - LIMIT) * (1 if e > 0 else -1) / (free @ prior @ free)
            torch.testing.assert_close(bare.hold(mean, aggregate), expected)

    @settings(deadline=None)
    @given(other=vectors, lean=st.floats(-LIMIT, LIMIT))
    def test_no_smaller_change_in_the_metric_of_the_prior_holds_the_limit(
        self, other: Tensor, lean: float, aggregate: Tensor, prior: Tensor
    ) -> None:
        bare, d = band(prior, counterweight=NOTHING), DIRECTION[:4]
        mean = aggregate + 2 * DIRECTION * ~LAST
        change = (bare.hold(mean, aggregate) - mean)[:4]
        elsewhere = change + other[:4]
        rival = elsewhere + (lean - d @ (2 * d + elsewhere)) * d / (d @ d)
        precision = torch.linalg.inv(prior[:4, :4])
        assert float(rival @ precision @ rival) >= float(change @ precision @ change) - 1e-9

    @settings(deadline=None)
    @given(shift=vectors)
    def test_what_is_inside_passes_unchanged(self, shift: Tensor, aggregate: Tensor, prior: Tensor) -> None:
        mean = aggregate + 0.01 * shift
        assert torch.equal(band(prior).hold(mean, aggregate), mean)

    def test_people_are_held_all_at_once_as_one_by_one(self, aggregate: Tensor, prior: Tensor) -> None:
        people = torch.randn(3, 4, K, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        together = hold_all(people, aggregate, (band(prior),))
        alone = torch.stack([hold_all(person, aggregate, (band(prior),)) for person in people.flatten(0, 1)])
        torch.testing.assert_close(together.flatten(0, 1), alone)

    def test_an_inactive_band_holds_nothing(self, aggregate: Tensor, prior: Tensor) -> None:
        off = band(prior, active=False)
        mean = aggregate + 5
        assert torch.equal(hold_all(mean, aggregate, (off,)), mean)
        assert off.report(mean, mean, aggregate).status == "inactive"

    def test_a_direction_in_which_nobody_differs_is_inactive(self, prior: Tensor) -> None:
        alone = Band.of("explicit", LAST.double(), prior, NOTHING, LIMIT, active=True)
        assert not alone.active

    @pytest.mark.parametrize("limit", [0.0, -1.0, float("inf"), float("nan")])
    def test_a_limit_out_of_range_is_refused(self, limit: float, prior: Tensor) -> None:
        with pytest.raises(InvalidInput, match="limit"):
            band(prior, limit=limit)


class TestCounterweight:
    def test_a_taste_that_leans_to_agreement_is_kept_and_its_words_are_discounted(
        self, aggregate: Tensor, prior: Tensor
    ) -> None:
        mean = aggregate + torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
        with_it, without = band(prior).hold(mean, aggregate), band(prior, NOTHING).hold(mean, aggregate)
        assert float(with_it[4]) < float(aggregate[4])
        assert float(with_it[0]) > float(without[0])

    @settings(deadline=None)
    @given(direction=vectors, exponent=exponents)
    def test_nobodys_reward_ever_pays_for_it(
        self, direction: Tensor, exponent: float, aggregate: Tensor, prior: Tensor, reference: Reference
    ) -> None:
        mean = aggregate + 10**exponent * direction
        guarded = guard(aggregate, mean, prior, reference, LOOSE, LAST, (band(prior),))
        assert float(guarded.coefficients[4]) <= float(aggregate[4])

    def test_its_weight_in_the_correction_is_its_variance(self, prior: Tensor) -> None:
        correction = band(prior).above
        expected = COUNTERWEIGHT_STD**2 * DIRECTION[4] / (prior @ DIRECTION)[0]
        assert float(correction[4] / correction[0]) == pytest.approx(float(expected))


class TestUnderTheGuard:
    @settings(deadline=None)
    @given(direction=vectors, exponent=exponents)
    def test_every_bound_holds_for_any_coefficients(
        self,
        direction: Tensor,
        exponent: float,
        aggregate: Tensor,
        prior: Tensor,
        reference: Reference,
        budget: Budget,
        bands: tuple[Band, ...],
    ) -> None:
        guarded = guard(aggregate, aggregate + 10**exponent * direction, prior, reference, budget, LAST, bands)
        assert_inside(guarded.coefficients, aggregate, reference, budget, bands)
        certificate = guarded.guard
        assert certificate.divergence_max <= budget.divergence
        assert all(abs(report.after or 0.0) <= LIMIT for report in certificate.band.values())

    @settings(deadline=None)
    @given(direction=vectors, exponent=exponents)
    def test_guarding_twice_changes_nothing(
        self,
        direction: Tensor,
        exponent: float,
        aggregate: Tensor,
        prior: Tensor,
        reference: Reference,
        budget: Budget,
        bands: tuple[Band, ...],
    ) -> None:
        mean = aggregate + 10**exponent * direction
        once = guard(aggregate, mean, prior, reference, budget, LAST, bands)
        twice = guard(aggregate, once.coefficients, prior, reference, budget, LAST, bands)
        torch.testing.assert_close(twice.coefficients, once.coefficients, rtol=1e-9, atol=1e-9)

    def test_zero_answers_are_exactly_the_aggregate(
        self, aggregate: Tensor, prior: Tensor, reference: Reference, budget: Budget, bands: tuple[Band, ...]
    ) -> None:
        guarded = guard(aggregate, aggregate.clone(), prior, reference, budget, LAST, bands)
        assert torch.equal(guarded.coefficients, aggregate)
        assert not any(report.binds for report in guarded.guard.band.values())

    @pytest.mark.parametrize("rate", [0.1, 1e3])
    def test_ascent_on_agreement_finds_no_way_out(
        self, rate: float, aggregate: Tensor, prior: Tensor, reference: Reference, bands: tuple[Band, ...]
    ) -> None:
        budget = Budget(0.3, 0.25)
        mean = aggregate + torch.randn(K, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        for step in range(40):
            guarded = guard(aggregate, mean, prior, reference, budget, LAST, bands)
            assert_inside(guarded.coefficients, aggregate, reference, budget, bands)
            mean = mean + rate * (DIRECTION if step % 2 else guarded.coefficients - aggregate)

    def test_the_covariance_shrinks_by_alpha_alone(
        self, aggregate: Tensor, prior: Tensor, reference: Reference, bands: tuple[Band, ...]
    ) -> None:
        guarded = guard(aggregate, aggregate + 3, prior, reference, Budget(0.01, 0.05), LAST, bands)
        assert 0 < guarded.guard.alpha < 1
        torch.testing.assert_close(guarded.covariance, guarded.guard.alpha**2 * prior)

    def test_the_certificate_says_what_each_band_did(
        self, aggregate: Tensor, prior: Tensor, reference: Reference
    ) -> None:
        off = Band.of("implicit", SECOND, prior, LAST, LIMIT, active=False)
        mean = aggregate + torch.tensor([1.0, 0, 0, 0, 0], dtype=torch.float64)
        report = guard(aggregate, mean, prior, reference, LOOSE, LAST, (band(prior), off)).guard.band
        assert report["implicit"].status == "inactive"
        assert (report["explicit"].status, report["explicit"].binds) == ("active", True)
        assert report["explicit"].before == pytest.approx(0.6)
        assert report["explicit"].after == pytest.approx(LIMIT)


def assert_inside(
    coefficients: Tensor, aggregate: Tensor, reference: Reference, budget: Budget, bands: tuple[Band, ...]
) -> None:
    assert float(divergences(coefficients, aggregate, reference).max()) <= budget.divergence
    assert float(starc(coefficients, aggregate, reference)) <= budget.starc
    for direction in (DIRECTION, SECOND)[: len(bands)]:
        assert abs(float(direction @ (coefficients - aggregate))) <= LIMIT + 1e-12
