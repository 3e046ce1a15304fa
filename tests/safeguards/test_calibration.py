"""Calibration figures by hand and by the library, recalibration, the release gate on forecasts of known quality."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from elicitation.errors import InvalidInput
from safeguards.calibration import (
    FOLDS,
    Forecasts,
    Recalibration,
    recalibrated,
)
from safeguards.release import LEAST_PEOPLE, Verdict, release

EACH = 40


def forecasts(people: int, sharpness: float = 1.0, seed: int = 0, each: int = EACH) -> Forecasts:
    """Log-odds that overstate the truth ``sharpness`` times; 1 is calibrated. Every other person is of cohort b."""
    generator = torch.Generator().manual_seed(seed)
    n = people * each
    odds = 1.5 * torch.randn(n, generator=generator, dtype=torch.float64)
    happened = torch.rand(n, generator=generator, dtype=torch.float64) < odds.sigmoid()
    distance = torch.rand(n, generator=generator, dtype=torch.float64)
    person = torch.arange(people).repeat_interleave(each)
    cohorts = tuple("ab"[p % 2] for p in person.tolist())
    return Forecasts((sharpness * odds).sigmoid(), happened, person, cohorts, distance)


TRAINED = torch.linspace(0, 1, 101, dtype=torch.float64)


def everybody(part: Forecasts) -> Tensor:
    return torch.ones(1, part.people, dtype=torch.float64)


class TestFigures:
    def test_the_calibration_error_is_the_sum_over_bins_by_hand(self) -> None:
        chance = torch.tensor([0.05, 0.95, 1.0, 0.91, 0.42], dtype=torch.float64)
        happened = torch.tensor([False, True, True, False, True])
        found = Forecasts(chance, happened, torch.arange(5), ("",) * 5, torch.zeros(5, dtype=torch.float64))
        expected = (0.05 + abs(0.95 + 1.0 + 0.91 - 2) + 0.58) / 5
        assert float(found.calibration_errors(everybody(found))) == pytest.approx(expected)

    def test_a_person_counted_twice_is_the_same_as_two_such_people(self) -> None:
        found = forecasts(4)
        kept = found.person == 1
        twice = Forecasts(
            torch.cat([found.chance, found.chance[kept]]),
            torch.cat([found.happened, found.happened[kept]]),
            torch.cat([found.person, torch.full((EACH,), 9)]),
            found.cohorts + ("a",) * EACH,
            torch.cat([found.distance, found.distance[kept]]),
        )
        weighed = found.calibration_errors(torch.tensor([[1, 2, 1, 1]], dtype=torch.float64))
        torch.testing.assert_close(weighed, twice.calibration_errors(everybody(twice)))

    def test_chances_outside_the_unit_interval_are_refused(self) -> None:
        found = forecasts(2)
        with pytest.raises(InvalidInput, match="0–1"):
            replace(found, chance=found.chance + 1)


class TestRecalibration:
    @pytest.mark.parametrize("how", Recalibration)
    def test_overstated_chances_are_brought_back(self, how: Recalibration) -> None:
        raw = forecasts(100, sharpness=3)
        mapped = recalibrated(raw, how, seed=1)
        before, after = (float(part.calibration_errors(everybody(part))) for part in (raw, mapped))
        assert before > 0.1
        assert after < 0.04
        assert mapped.brier < raw.brier

    @pytest.mark.parametrize("how", Recalibration)
    def test_a_persons_own_outcomes_never_enter_their_forecasts(self, how: Recalibration) -> None:
        raw = forecasts(FOLDS)
        own = raw.person == 0
        lied = replace(raw, happened=torch.where(own, ~raw.happened, raw.happened))
        first, second = (recalibrated(part, how, seed=1).chance for part in (raw, lied))
        torch.testing.assert_close(first[own], second[own])
        assert not torch.equal(first[~own], second[~own])

    @given(st.integers(0, 50))
    @examples(max_examples=10)
    def test_both_maps_keep_the_mean_of_what_they_are_fitted_on(self, seed: int) -> None:
        raw = forecasts(10, sharpness=2, seed=seed)
        x, y = raw.chance.numpy(), raw.outcome.numpy()
        isotonic = IsotonicRegression(y_min=0, y_max=1).fit(x, y)
        platt = LogisticRegression(C=math.inf).fit(raw.chance.logit()[:, None].numpy(), y)
        assert isotonic.predict(x).mean() == pytest.approx(y.mean())
        assert platt.predict_proba(raw.chance.logit()[:, None].numpy())[:, 1].mean() == pytest.approx(
            y.mean(), abs=1e-4
        )

    def test_too_few_people_of_an_outcome_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="needed to learn a map"):
            recalibrated(forecasts(FOLDS - 1), Recalibration.PLATT, seed=0)


class TestRelease:
    def judged(self, found: Forecasts, margin: float = 0.05) -> Verdict:
        return release(found, TRAINED, margin, torch.Generator().manual_seed(0)).verdict

    def test_calibrated_forecasts_of_many_people_pass_and_overstated_ones_fail(self) -> None:
        assert self.judged(forecasts(300)) is Verdict.PASS
        assert self.judged(forecasts(300, sharpness=3)) is Verdict.FAIL

    def test_overstated_chances_never_pass_and_slices_of_calibrated_ones_fail_as_rarely_as_intervals_say(self) -> None:
        failed = judged = 0
        for seed in range(15):
            for people in (5, 25, 60):
                assert self.judged(forecasts(people, sharpness=3, seed=seed)) is not Verdict.PASS
                gate = release(forecasts(people, seed=seed), TRAINED, 0.05, torch.Generator().manual_seed(0))
                judged += sum(part.people >= LEAST_PEOPLE for part in gate.slices)
                failed += sum(part.verdict is Verdict.FAIL for part in gate.slices)
        assert failed <= 0.025 * judged

    def test_nothing_is_concluded_from_fewer_than_twenty_people(self) -> None:
        for sharpness in (1.0, 5.0):
            found = forecasts(2 * (LEAST_PEOPLE - 1), sharpness, each=400)
            gate = release(found, TRAINED, 0.9, torch.Generator().manual_seed(0))
            assert {part.name: part.verdict for part in gate.slices if part.name in "ab"} == {
                "a": Verdict.INCONCLUSIVE,
                "b": Verdict.INCONCLUSIVE,
            }
            assert gate.verdict is Verdict.INCONCLUSIVE

    def test_one_bad_cohort_fails_the_release(self) -> None:
        good, bad = forecasts(300), forecasts(300, sharpness=4)
        of_b = torch.tensor([name == "b" for name in good.cohorts])
        gate = release(
            replace(good, chance=torch.where(of_b, bad.chance, good.chance)),
            TRAINED,
            0.1,
            torch.Generator().manual_seed(0),
        )
        assert gate.verdict is Verdict.FAIL
        assert next(part for part in gate.slices if part.name == "a").verdict is Verdict.PASS

    def test_what_lies_beyond_the_training_texts_is_refused_and_counted(self) -> None:
        found = forecasts(500)
        far = torch.arange(len(found)) % 20 == 0
        wrong = replace(
            found,
            chance=torch.where(far, 1 - found.outcome, found.chance),
            distance=torch.where(far, 9.0, found.distance),
        )
        gate = release(wrong, TRAINED, 0.05, torch.Generator().manual_seed(0))
        assert gate.beyond == int(far.sum())
        assert gate.farthest == 1
        assert gate.verdict is Verdict.PASS, "no claim is made beyond, and nothing beyond enters"

    def test_too_much_beyond_the_training_texts_is_never_a_pass(self) -> None:
        found = forecasts(300)
        assert self.judged(replace(found, distance=found.distance * 1.2)) is Verdict.INCONCLUSIVE
        assert self.judged(replace(found, distance=found.distance + 2)) is Verdict.INCONCLUSIVE

    def test_a_distance_at_which_nothing_was_seen_is_no_pass(self) -> None:
        found = forecasts(300)
        assert self.judged(replace(found, distance=found.distance / 2)) is Verdict.INCONCLUSIVE

    def test_an_interval_holds_its_value_and_the_same_seed_gives_the_same(self) -> None:
        once, again = (release(forecasts(40), TRAINED, 0.05, torch.Generator().manual_seed(3)) for _ in range(2))
        assert once == again
        for part in once.slices:
            assert part.low is not None
            assert part.ece is not None
            assert part.high is not None
            assert part.low <= part.ece <= part.high

    def test_a_margin_is_a_calibration_error(self) -> None:
        with pytest.raises(InvalidInput, match="margin = 2"):
            self.judged(forecasts(30), margin=2)
