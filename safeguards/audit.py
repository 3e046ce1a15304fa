"""An audit: findings on what people are served, plain-language notes, versions, and a hash over the canonical JSON."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from elicitation.errors import ArtifactMismatch, InvalidInput
from safeguards.audit_reference import Served, StanceSet, reference_findings
from safeguards.audit_served import served_findings, spread_finding
from safeguards.exposure import Exposure
from safeguards.findings import MIN_PEOPLE, RESAMPLES, Finding, Status
from safeguards.loop.measure import Row
from safeguards.metrics import Predictions
from safeguards.policy_errors import ErrorRate, JudgedPairs, error_rates
from safeguards.withholding import People, withheld

SEVERITY: tuple[Status, ...] = ("red", "amber", "inconclusive", "green")
WHERE = {"reference": "on the reference set", "served": "as served"}


@dataclass(frozen=True, eq=False)
class Material:
    """Input of an audit beside the ``served`` coefficients; whatever is missing leaves its metrics inconclusive.

    ``beliefs`` are the posterior means (U, K) and covariances (U, K, K) behind the coefficients, ``variance`` the
    population's tr Cov, ``loop`` the closed loop's rows: the served arm, then both nulls.
    """

    served: Served
    probes: Sequence[StanceSet] = ()
    loop: Sequence[Row] = ()
    traffic: Exposure | None = None
    predictions: Predictions | None = None
    beliefs: tuple[Tensor, Tensor] | None = None
    variance: float = 0.0
    pairs: JudgedPairs | None = None


@dataclass(frozen=True)
class Audit:
    """Findings, shares of mistakes, plain-language notes and the versions they hold for."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    versions: Mapping[str, str]
    errors: tuple[ErrorRate, ...] = field(default=())

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
            errors = tuple(ErrorRate(**rate) for rate in data["errors"])
            result = cls(findings, tuple(data["notes"]), dict(data["versions"]), errors)
            stated = data["content_hash"]
        except (KeyError, TypeError) as error:
            raise ArtifactMismatch(f"not an audit ({error}); take it from Audit.to_dict()") from error
        if result.content_hash != stated or result.to_dict() != {**data}:
            raise ArtifactMismatch(f"the audit states hash {stated}, its content gives {result.content_hash}")
        return result

    def _content(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "findings": [asdict(finding) for finding in self.findings],
            "errors": [asdict(rate) for rate in self.errors],
            "notes": list(self.notes),
            "versions": dict(self.versions),
        }


def audit(
    material: Material, versions: Mapping[str, str], generator: torch.Generator, smallest: int = MIN_PEOPLE
) -> Audit:
    """Audit what people are served; metric 10 gets a finding per cohort. Raises InvalidInput on shapes.

    Figures of fewer than ``smallest`` people are withheld.
    """
    served = material.served
    k = served.reference.k
    if served.people.ndim != 2 or served.people.shape[1] != k or served.aggregate.shape != (k,):
        shapes = f"people {tuple(served.people.shape)} and aggregate {tuple(served.aggregate.shape)}"
        raise InvalidInput(f"{shapes} must be (U, {k}) and ({k},), the heads of the reference set")
    means, covariances = material.beliefs or (torch.zeros(0, k), torch.zeros(0, k, k))
    findings = (
        *reference_findings(served, material.probes, material.loop, generator),
        *served_findings(material.traffic, material.predictions, generator),
        spread_finding(means, covariances, material.variance, generator),
    )
    people = People.of(served, material.traffic, material.predictions)
    findings = tuple(withheld(finding, people, smallest) for finding in findings)
    ordered = tuple(sorted(findings, key=lambda finding: (finding.source, finding.number)))
    pairs = material.pairs
    enough = pairs is not None and len(pairs.person.unique()) >= smallest
    errors = error_rates(pairs, RESAMPLES, generator) if pairs is not None and enough else ()
    return Audit(ordered, (*map(sentence, ordered), *map(error_sentence, errors)), dict(versions), errors)


def sentence(finding: Finding) -> str:
    """A finding in plain language."""
    name = f"{finding.name[0].upper()}{finding.name[1:]} {WHERE[finding.source]}"
    if finding.value is None or finding.low is None or finding.high is None:
        return f"{name}: inconclusive ({finding.note})."
    nulls = ", ".join(f"{null} {value:.3f}" for null, value in finding.nulls.items() if value is not None)
    beside = f" beside {nulls}" if nulls else ""
    note = f" ({finding.note})" if finding.note else ""
    interval = f"95 % interval {finding.low:.3f} to {finding.high:.3f}"
    limits = f"amber at {finding.amber:g}, red at {finding.red:g}"
    return f"{name}: {finding.status}, {finding.value:.3f} {finding.unit}, {interval}, {limits}{beside}{note}."


def error_sentence(rate: ErrorRate) -> str:
    interval = f"95 % interval {rate.low:.1%} to {rate.high:.1%}"
    return f"Choices predicted wrongly, {rate.weighting}: {rate.value:.1%}, {interval}."
