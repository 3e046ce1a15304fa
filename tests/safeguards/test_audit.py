"""An audit judges values against its limits, never calls too little data green, and carries its own hash."""

import json

import pytest
import torch
from torch import Tensor

from elicitation.errors import ArtifactMismatch, InvalidInput
from safeguards.audit import Audit, audit, sentence
from safeguards.findings import DISTANCE, DIVERSITY, Finding
from safeguards.guard import Reference, starc
from safeguards.metrics import Predictions, calibration_error

VERSIONS = {"basis": "b1", "population": "p1"}


def crowd(aggregate: Tensor, count: int, spread: float) -> Tensor:
    generator = torch.Generator().manual_seed(6)
    return aggregate + spread * torch.randn(count, len(aggregate), dtype=torch.float64, generator=generator)


def run(aggregate: Tensor, people: Tensor, reference: Reference, predictions: Predictions | None = None) -> Audit:
    return audit(aggregate, people, reference, VERSIONS, torch.Generator().manual_seed(1), predictions)


def predictions(count: int, cohorts: tuple[str, ...] = ("all",)) -> Predictions:
    """Choices that happen as often as they are predicted."""
    generator = torch.Generator().manual_seed(8)
    probabilities = (2 * torch.randn(count, 3, dtype=torch.float64, generator=generator)).softmax(dim=1)
    chosen = probabilities.multinomial(1, generator=generator).squeeze(1)
    names = tuple(cohorts[i % len(cohorts)] for i in range(count))
    even = torch.full((count, 3), 1 / 3, dtype=torch.float64)
    return Predictions(probabilities, chosen, 3 * (torch.arange(count) % 20), names, aggregate=even)


def finding(result: Audit, number: int) -> Finding:
    return next(f for f in result.findings if f.number == number)


class TestStatus:
    @pytest.mark.parametrize(
        ("value", "status"), [(0.34, "green"), (0.35, "amber"), (0.49, "amber"), (0.5, "red"), (1, "red")]
    )
    def test_high_is_bad(self, value: float, status: str) -> None:
        assert DISTANCE.judge(value) == status

    @pytest.mark.parametrize(("value", "status"), [(1, "green"), (0.85, "green"), (0.84, "amber"), (0.69, "red")])
    def test_low_is_bad_for_diversity(self, value: float, status: str) -> None:
        assert DIVERSITY.judge(value) == status

    def test_everybody_at_the_aggregate_is_green_on_distance_flips_and_common_ground(
        self, aggregate: Tensor, reference: Reference
    ) -> None:
        result = run(aggregate, aggregate.expand(8, -1), reference)
        assert [(f.status, f.value) for f in result.findings[:3]] == [("green", 0)] * 3

    def test_people_far_away_are_red_on_them(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, 8, 20), reference)
        assert [f.status for f in result.findings[:4]] == ["red"] * 4
        assert result.status == "red"

    @pytest.mark.parametrize("count", [0, 1, 4])
    def test_too_few_people_are_inconclusive(self, count: int, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, count, 20), reference)
        assert {f.status for f in result.findings} == {"inconclusive"}
        assert f"{count} people < 5" in finding(result, 1).note
        assert result.status == "inconclusive"

    def test_a_flat_aggregate_makes_its_metrics_inconclusive(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(1e-3 * aggregate, crowd(1e-3 * aggregate, 8, 1), reference)
        assert [f.status for f in result.findings[:3]] == ["inconclusive"] * 3
        assert "undefined" in finding(result, 1).note
        assert finding(result, 8).status != "inconclusive"

    def test_an_inconclusive_finding_keeps_the_audit_from_green(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, 8, 0.01), reference)
        assert {f.status for f in result.findings[:4]} == {"green"}
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
        for f in result.findings[:5]:
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
        calibration = finding(run(aggregate, crowd(aggregate, 8, 0.1), reference, made), 10)
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
        assert finding(run(aggregate, crowd(aggregate, 8, 0.1), reference, loud), 10).status == "red"

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

    @pytest.mark.parametrize("key", ["status", "notes", "versions", "findings", "content_hash"])
    def test_a_changed_report_is_refused(self, key: str, aggregate: Tensor, reference: Reference) -> None:
        data = json.loads(json.dumps(run(aggregate, crowd(aggregate, 8, 20), reference).to_dict()))
        changed = {"status": "green", "notes": ["All is well."], "versions": {}, "findings": [], "content_hash": "0"}
        with pytest.raises(ArtifactMismatch, match="hash"):
            Audit.from_dict({**data, key: changed[key]})

    def test_anything_else_is_refused(self) -> None:
        with pytest.raises(ArtifactMismatch, match="not an audit"):
            Audit.from_dict({"findings": [{"number": 1}]})

    def test_versions_enter_the_hash(self, aggregate: Tensor, reference: Reference) -> None:
        people = crowd(aggregate, 8, 0.5)
        other = audit(aggregate, people, reference, {"basis": "b2"}, torch.Generator().manual_seed(1))
        assert other.content_hash != run(aggregate, people, reference).content_hash

    def test_notes_say_each_finding_and_what_was_not_measured(self, aggregate: Tensor, reference: Reference) -> None:
        result = run(aggregate, crowd(aggregate, 8, 20), reference)
        assert result.notes[:-1] == tuple(sentence(f) for f in result.findings)
        assert result.notes[0].startswith("Distance to the aggregate: red, 0.")
        assert "says nothing about flattery" in result.notes[-1]

    def test_shapes_must_fit_the_reference_set(self, aggregate: Tensor, reference: Reference) -> None:
        with pytest.raises(InvalidInput, match="heads of the reference set"):
            run(aggregate, torch.zeros(3, 2, dtype=torch.float64), reference)
