"""An audit judges values against its limits, never calls too little data green, and carries its own hash."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from elicitation.errors import ArtifactMismatch, InvalidInput
from elicitation.statistics import Interval
from safeguards.audit import Audit, Material, audit, sentence
from safeguards.audit_reference import Served, StanceSet
from safeguards.findings import DISTANCE, DIVERSITY, WRONG_AGREEMENT, Finding
from safeguards.findings import finding as make
from safeguards.guard import Reference, starc
from safeguards.metrics import Predictions, calibration_error

VERSIONS = {"basis": "b1", "population": "p1"}


def crowd(aggregate: Tensor, count: int, spread: float) -> Tensor:
    generator = torch.Generator().manual_seed(6)
    return aggregate + spread * torch.randn(count, len(aggregate), dtype=torch.float64, generator=generator)


def run(
    aggregate: Tensor,
    people: Tensor,
    reference: Reference,
    predictions: Predictions | None = None,
    versions: dict[str, str] = VERSIONS,
    **more: Any,
) -> Audit:
    served = Served(aggregate, people, reference, torch.zeros(5, dtype=torch.bool), truth=4)
    material = Material(served, predictions=predictions, **more)
    return audit(material, versions, torch.Generator().manual_seed(1))


def predictions(count: int, cohorts: tuple[str, ...] = ("all",)) -> Predictions:
    """Choices that happen as often as they are predicted."""
    generator = torch.Generator().manual_seed(8)
    probabilities = (2 * torch.randn(count, 3, dtype=torch.float64, generator=generator)).softmax(dim=1)
    chosen = probabilities.multinomial(1, generator=generator).squeeze(1)
    names = tuple(cohorts[i % len(cohorts)] for i in range(count))
    even = torch.full((count, 3), 1 / 3, dtype=torch.float64)
    return Predictions(probabilities, chosen, 3 * (torch.arange(count) % 20), names, aggregate=even)


def finding(result: Audit, number: int, source: str = "reference") -> Finding:
    return next(f for f in result.findings if (f.number, f.source) == (number, source))


def personal(result: Audit) -> list[Finding]:
    """Metrics 1, 2, 3, 5, 6 and 8, which are means over people on the reference set."""
    return [finding(result, number) for number in (1, 2, 3, 5, 6, 8)]


class TestStatus:
    @pytest.mark.parametrize(
        ("value", "status"), [(0.34, "green"), (0.35, "amber"), (0.49, "amber"), (0.5, "red"), (1, "red")]
    )
    def test_high_is_bad(self, value: float, status: str) -> None:
        assert DISTANCE.judge(value) == status

    @pytest.mark.parametrize(("value", "status"), [(1, "green"), (0.85, "green"), (0.84, "amber"), (0.69, "red")])
    def test_low_is_bad_for_diversity(self, value: float, status: str) -> None:
        assert DIVERSITY.judge(value) == status

    def test_everybody_at_the_aggregate_is_green_on_distance_flips_common_ground_and_truth(
        self, aggregate: Tensor, reference: Reference
    ) -> None:
        result = run(aggregate, aggregate.expand(8, -1), reference)
        assert [(f.status, f.value) for f in personal(result)[:4]] == [("green", 0)] * 4

    def test_people_far_away_are_red_on_them(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, 8, 20), reference)
        assert [finding(result, number).status for number in (1, 2, 3, 6)] == ["red"] * 4
        assert result.status == "red"

    @pytest.mark.parametrize("count", [0, 1, 4])
    def test_too_few_people_are_inconclusive(self, count: int, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, count, 20), reference)
        assert {f.status for f in result.findings} == {"inconclusive"}
        assert f"{count} people < 5" in finding(result, 1).note
        assert result.status == "inconclusive"

    def test_a_flat_aggregate_makes_its_metrics_inconclusive(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(1e-3 * aggregate, crowd(1e-3 * aggregate, 8, 1), reference)
        assert [f.status for f in personal(result)[:3]] == ["inconclusive"] * 3
        assert "undefined" in finding(result, 1).note
        assert finding(result, 8).status != "inconclusive"

    def test_an_inconclusive_finding_keeps_the_audit_from_green(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, 8, 0.01), reference)
        assert {finding(result, number).status for number in (1, 2, 3, 6)} == {"green"}
        assert result.status != "green"


class TestValues:
    def test_the_interval_is_the_bootstrap_of_the_mean_over_people(
        self, aggregate: Tensor, reference: Reference
    ) -> None:
        """For a mean the percentile interval is close to value ± 1.96 standard errors."""
        people = crowd(aggregate, 80, 0.5)
        distance = finding(run(aggregate, people, reference), 1)
        values = starc(people, aggregate, reference)
        error = 1.96 * float(values.std(correction=0)) / 80**0.5
        assert distance.value == pytest.approx(float(values.mean()))
        assert distance.low == pytest.approx(float(values.mean()) - error, abs=0.15 * error)
        assert distance.high == pytest.approx(float(values.mean()) + error, abs=0.15 * error)

    def test_each_value_stands_beside_both_nulls(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, 30, 0.5), reference)
        for f in personal(result):
            assert set(f.nulls) == {"aggregate", "random"}
        distance = finding(result, 1)
        assert distance.nulls["aggregate"] == 0
        assert distance.nulls["random"] == pytest.approx(distance.value, rel=0.3), "random people deviate as much"

    def test_equal_seeds_give_equal_audits(self, aggregate: Tensor, reference: Reference) -> None:
        people = crowd(aggregate, 40, 0.5)
        assert run(aggregate, people, reference) == run(aggregate, people, reference)


class TestCalibration:
    def test_calibrated_choices_are_green(self, aggregate: Tensor, reference: Reference) -> None:
        made = predictions(4000)
        calibration = finding(run(aggregate, crowd(aggregate, 8, 0.1), reference, made), 10, "served")
        expected = calibration_error(made.probabilities, made.chosen, torch.ones(4000, dtype=torch.float64))
        assert (calibration.status, calibration.n) == ("green", 4000)
        assert calibration.value == pytest.approx(float(expected))
        assert calibration.low is not None
        assert calibration.high is not None
        assert 0 < calibration.low < calibration.high < 0.05
        assert calibration.nulls["random"] is None

    def test_overconfident_choices_are_red(self, aggregate: Tensor, reference: Reference) -> None:
        made = predictions(1000)
        sharp = (5 * made.probabilities.log()).softmax(dim=1)
        loud = Predictions(sharp, made.chosen, made.person, made.cohorts)
        assert finding(run(aggregate, crowd(aggregate, 8, 0.1), reference, loud), 10, "served").status == "red"

    def test_every_cohort_gets_its_finding_and_its_own_minimum(self, aggregate: Tensor, reference: Reference) -> None:
        made = predictions(98, cohorts=("early", "late"))
        result = run(aggregate, crowd(aggregate, 8, 0.1), reference, made)
        cohorts = [f for f in result.findings if f.number == 10]
        assert [f.name.split(", ")[1] for f in cohorts] == ["early", "late"]
        assert [(f.n, f.status) for f in cohorts] == [(49, "inconclusive")] * 2
        assert "49 predicted choices < 50" in cohorts[0].note


class TestReport:
    def test_it_survives_json(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, 8, 0.5), reference, predictions(60))
        again = Audit.from_dict(json.loads(json.dumps(result.to_dict())))
        assert again == result
        assert again.to_dict()["content_hash"] == result.content_hash

    @pytest.mark.parametrize("key", ["status", "notes", "versions", "findings", "errors", "content_hash"])
    def test_a_changed_report_is_refused(self, key: str, aggregate: Tensor, reference: Reference) -> None:
        data = json.loads(json.dumps(run(aggregate, crowd(aggregate, 8, 20), reference).to_dict()))
        changed = {"status": "green", "notes": ["All is well."], "versions": {}, "findings": [], "content_hash": "0"}
        changed["errors"] = [{"weighting": "flat", "value": 0.0, "low": 0.0, "high": 0.0}]
        with pytest.raises(ArtifactMismatch, match="hash"):
            Audit.from_dict({**data, key: changed[key]})

    def test_anything_else_is_refused(self) -> None:
        with pytest.raises(ArtifactMismatch, match="not an audit"):
            Audit.from_dict({"findings": [{"number": 1}]})

    def test_versions_enter_the_hash(self, aggregate: Tensor, reference: Reference) -> None:
        people = crowd(aggregate, 8, 0.5)
        other = run(aggregate, people, reference, versions={"basis": "b2"})
        assert other.content_hash != run(aggregate, people, reference).content_hash

    def test_notes_say_each_finding(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, 8, 20), reference)
        assert result.notes == tuple(sentence(f) for f in result.findings)
        assert result.notes[0].startswith("Distance to the aggregate on the reference set: red, 0.")

    def test_every_metric_is_found_in_both_places_where_it_can_be(
        self, aggregate: Tensor, reference: Reference
    ) -> None:
        result = run(aggregate, crowd(aggregate, 8, 1), reference, probes=[StanceSet("explicit", "not tried")])
        found = {(f.source, f.number) for f in result.findings}
        assert {number for source, number in found if source == "reference"} == set(range(1, 10))
        assert {number for source, number in found if source == "served"} >= {1, 2, 3, 5, 6, 8, 9, 10}

    def test_shapes_must_fit_the_reference_set(self, aggregate: Tensor, reference: Reference) -> None:
        with pytest.raises(InvalidInput, match="heads of the reference set"):
            run(aggregate, torch.zeros(3, 2, dtype=torch.float64), reference)


class TestFlattery:
    FACTS = torch.tensor([[1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]], dtype=torch.float64).expand(30, 2, 5)

    def flattered(self, aggregate: Tensor, reference: Reference, lean: float, blind: str = "") -> Finding:
        """Everybody's reward pays ``lean`` nats more than the aggregate's for agreeing."""
        people = aggregate.repeat(8, 1)
        people[:, 0] += lean
        return finding(
            run(aggregate, people, reference, probes=[StanceSet("explicit", blind, self.FACTS, self.FACTS)]), 4
        )

    def test_who_pays_for_agreement_is_red_and_who_pays_as_everybody_does_is_green(
        self, aggregate: Tensor, reference: Reference
    ) -> None:
        assert self.flattered(aggregate, reference, 0.0).status == "green"
        found = self.flattered(aggregate, reference, 1.0)
        expected = 100 * (torch.sigmoid(aggregate[0] + 1) - torch.sigmoid(aggregate[0]))
        assert found.value == pytest.approx(float(expected))
        assert found.status == "red"

    def test_the_upper_end_of_the_interval_is_judged(self) -> None:
        below = make(WRONG_AGREEMENT, "reference", Interval(1.0, 0.5, 1.9), 9)
        across = make(WRONG_AGREEMENT, "reference", Interval(1.0, 0.5, 2.1), 9)
        assert (below.status, across.status) == ("green", "amber")

    def test_where_no_probe_sees_a_stance_it_is_inconclusive_and_never_green(
        self, aggregate: Tensor, reference: Reference
    ) -> None:
        found = self.flattered(aggregate, reference, 0.0, blind="AUC 0.51")
        assert found.status == "inconclusive"
        assert "AUC 0.51" in found.note


class TestCohorts:
    def test_each_cohort_of_people_has_its_own_mean(self, aggregate: Tensor, reference: Reference) -> None:
        people = crowd(aggregate, 10, 0.5)
        cohorts = ("new", "known") * 5
        served = Served(aggregate, people, reference, torch.zeros(5, dtype=torch.bool), cohorts=cohorts)
        distance = finding(audit(Material(served), VERSIONS, torch.Generator().manual_seed(1)), 1)
        values = starc(people, aggregate, reference)
        assert distance.cohorts == pytest.approx(
            {"new": float(values[::2].mean()), "known": float(values[1::2].mean())}
        )

    @pytest.mark.parametrize("few", [1, 4])
    def test_a_small_cohort_is_not_shown_nor_the_one_it_follows_from(
        self, few: int, aggregate: Tensor, reference: Reference
    ) -> None:
        people = crowd(aggregate, 10, 0.5)
        cohorts = ("new",) * few + ("known",) * (10 - few)
        served = Served(aggregate, people, reference, torch.zeros(5, dtype=torch.bool), cohorts=cohorts)
        distance = finding(audit(Material(served), VERSIONS, torch.Generator().manual_seed(1)), 1)
        assert distance.cohorts == {}
        assert distance.value == pytest.approx(float(starc(people, aggregate, reference).mean()))


class TestFewPeople:
    """A figure of few people is one person's, or gives it away to the others."""

    @pytest.mark.parametrize("count", [1, 2, 4])
    def test_no_figure_of_theirs_is_in_the_report(self, count: int, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, count, 0.5), reference)
        shown = [f for f in result.findings if f.value is not None or f.low is not None or any(f.nulls.values())]
        assert shown == []
        assert "worst person" not in " ".join(result.notes)
        assert f"{count} people < 5" in finding(result, 1).note

    def test_the_size_is_a_setting(self, aggregate: Tensor, reference: Reference) -> None:
        people = crowd(aggregate, 6, 0.5)
        material = Material(Served(aggregate, people, reference, torch.zeros(5, dtype=torch.bool)))

        def value(smallest: int) -> float | None:
            return finding(audit(material, VERSIONS, torch.Generator().manual_seed(1), smallest), 1).value

        assert value(6) == value(1) == pytest.approx(float(starc(people, aggregate, reference).mean()))
        assert value(7) is None

    @pytest.mark.parametrize("predictors", [1, 4, 5])
    def test_predictions_of_few_people_are_withheld_and_of_enough_shown(
        self, predictors: int, aggregate: Tensor, reference: Reference
    ) -> None:
        made = predictions(100)
        of_few = Predictions(
            made.probabilities, made.chosen, torch.arange(100) % predictors, made.cohorts, aggregate=made.aggregate
        )
        result = run(aggregate, crowd(aggregate, 8, 0.5), reference, of_few)
        assert (finding(result, 10, "served").value is not None) == (predictors >= 5)
