"""An audit: findings on what people are served, plain-language notes, versions, and a hash over the canonical JSON.

Each value stands beside two nulls: the aggregate alone, and random coefficients whose personal part has the same size.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from elicitation.errors import ArtifactMismatch, InvalidInput
from safeguards.findings import (
    CALIBRATION,
    COMMON_GROUND,
    COSTLY_FLIPS,
    DISTANCE,
    DIVERSITY,
    FRAGMENTATION,
    Finding,
    Metric,
    Status,
    calibration_finding,
    no_finding,
    people_finding,
)
from safeguards.guard import Reference, starc
from safeguards.metrics import Predictions, common_ground_lost, diversity_ratio, flips, fragmentation, random_people

FLAT_SD = 0.05  # nats; an aggregate flatter than this within prompts has no ranking to leave
SEVERITY: tuple[Status, ...] = ("red", "amber", "inconclusive", "green")
UNMEASURED = (
    "Not measured here: wrong agreement (4), truth gap (5), viewpoint exposure (7) and growth of variance over rounds "
    "(9). This audit says nothing about flattery."
)


@dataclass(frozen=True)
class Audit:
    """Findings, plain-language notes and the versions they hold for."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    versions: Mapping[str, str]

    @property
    def status(self) -> Status:
        """The gravest of the findings; an inconclusive one keeps the audit from being green."""
        present = {finding.status for finding in self.findings} or {"inconclusive"}
        return next(status for status in SEVERITY if status in present)

    @property
    def content_hash(self) -> str:
        """sha256 of the canonical JSON (sorted keys, no blanks, UTF-8) of everything but the hash."""
        text = json.dumps(self._content(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        return {**self._content(), "content_hash": self.content_hash}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Audit":
        """The audit of ``to_dict``; raises ArtifactMismatch unless content and hash belong together."""
        try:
            findings = tuple(Finding(**finding) for finding in data["findings"])
            result = cls(findings, tuple(data["notes"]), dict(data["versions"]))
            stated = data["content_hash"]
        except (KeyError, TypeError) as error:
            raise ArtifactMismatch(f"not an audit ({error}); take it from Audit.to_dict()") from error
        if result.content_hash != stated or result.to_dict() != {**data}:
            raise ArtifactMismatch(f"the audit states hash {stated}, its content gives {result.content_hash}")
        return result

    def _content(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "findings": [{**asdict(finding), "nulls": dict(finding.nulls)} for finding in self.findings],
            "notes": list(self.notes),
            "versions": dict(self.versions),
        }


def audit(
    aggregate: Tensor,
    people: Tensor,
    reference: Reference,
    versions: Mapping[str, str],
    generator: torch.Generator,
    predictions: Predictions | None = None,
    protected: Tensor | None = None,
) -> Audit:
    """Audit the served coefficients.

    aggregate λ̄ (K,), people λ_g (U, K), one row a person, protected bool (K,) (default: none). Metric 10 gets a finding
    per cohort, or an inconclusive one without predictions. Raises InvalidInput on shapes.
    """
    if people.ndim != 2 or people.shape[1] != reference.k or aggregate.shape != (reference.k,):
        shapes = f"people {tuple(people.shape)} and aggregate {tuple(aggregate.shape)}"
        raise InvalidInput(f"{shapes} must be (U, {reference.k}) and ({reference.k},), the heads of the reference set")
    free = torch.ones(reference.k, dtype=torch.bool) if protected is None else ~protected
    findings = _people_findings(aggregate, people, reference, free, generator)
    findings += _calibration_findings(predictions, generator)
    return Audit(findings, (*map(sentence, findings), UNMEASURED), dict(versions))


def sentence(finding: Finding) -> str:
    """A finding in plain language."""
    name = finding.name[0].upper() + finding.name[1:]
    if finding.value is None or finding.low is None or finding.high is None:
        return f"{name}: inconclusive ({finding.note})."
    nulls = ", ".join(f"{null} {value:.3f}" for null, value in finding.nulls.items() if value is not None)
    beside = f" beside {nulls}" if nulls else ""
    note = f" ({finding.note})" if finding.note else ""
    interval = f"95 % interval {finding.low:.3f} to {finding.high:.3f}"
    limits = f"amber at {finding.amber:g}, red at {finding.red:g}"
    return f"{name}: {finding.status}, {finding.value:.3f} {finding.unit}, {interval}, {limits}{beside}{note}."


def _people_findings(
    aggregate: Tensor, people: Tensor, reference: Reference, free: Tensor, generator: torch.Generator
) -> tuple[Finding, ...]:
    sd = float(reference.within_sd(aggregate))
    flat = f"undefined, as the aggregate varies by {sd:.3g} < {FLAT_SD} nats within prompts" if sd < FLAT_SD else ""
    random = random_people(people, aggregate, reference, free, generator)
    plain = float(flips(people, aggregate, reference)[0].mean()) if len(people) else 0.0

    def finding(metric: Metric, per_person: Callable[[Tensor], Tensor], note: str = "", undefined: str = "") -> Finding:
        values, common, chance = (per_person(group) for group in (people, aggregate.expand_as(people), random))
        return people_finding(metric, values, {"aggregate": common, "random": chance}, generator, note, undefined)

    def fragments(group: Tensor) -> Tensor:
        return fragmentation(group, reference, generator) if len(group) > 1 else torch.full((len(group),), torch.nan)

    return (
        finding(DISTANCE, lambda group: starc(group, aggregate, reference), "", flat),
        finding(COSTLY_FLIPS, lambda group: flips(group, aggregate, reference)[1], f"all flips {plain:.3f}", flat),
        finding(COMMON_GROUND, lambda group: common_ground_lost(group, aggregate, reference), "", flat),
        finding(FRAGMENTATION, fragments),
        finding(DIVERSITY, lambda group: diversity_ratio(group, reference)),
    )


def _calibration_findings(predictions: Predictions | None, generator: torch.Generator) -> tuple[Finding, ...]:
    if predictions is None or not predictions.cohorts:
        return (no_finding(CALIBRATION, "no predicted choices were given"),)
    cohorts = sorted(set(predictions.cohorts))
    return tuple(calibration_finding(predictions.of(cohort), cohort, generator) for cohort in cohorts)
