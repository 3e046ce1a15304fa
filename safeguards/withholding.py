"""Findings of few people show no figure: a mean of one is that person's, and one of two can work out the other's.

A breakdown by cohort is shown only if every cohort is large enough, since a missing one follows from the total.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from safeguards.audit_reference import Served
from safeguards.exposure import AGGREGATE, PERSONAL, Exposure
from safeguards.findings import CALIBRATION, FRAGMENTATION, GROWTH, TRUTH_GAP, Finding
from safeguards.metrics import Predictions

BETWEEN_ARMS = (TRUTH_GAP.number, FRAGMENTATION.number)
"""Metrics of served rankings that compare the people of one arm with those of the other."""


@dataclass(frozen=True)
class People:
    """How many people stand behind the parts of an audit: all, each cohort, each arm, each part of metric 10."""

    total: int
    cohorts: Mapping[str, int]
    arms: Mapping[str, int]
    predicted: Mapping[str, int]

    @classmethod
    def of(cls, served: Served, traffic: Exposure | None, predictions: Predictions | None) -> "People":
        sides = {} if traffic is None else {PERSONAL: traffic.personal, AGGREGATE: ~traffic.personal}
        arms = {arm: len(traffic.person[rows].unique()) for arm, rows in sides.items() if traffic is not None}
        pairs = set(zip(predictions.cohorts, predictions.person.tolist(), strict=True)) if predictions else set()
        return cls(len(served.people), Counter(served.cohorts), arms, Counter(cohort for cohort, _ in pairs))

    def behind(self, finding: Finding) -> int:
        """The smallest group whose figures the finding would show; 0 where it shows nobody's."""
        if finding.number == CALIBRATION.number:
            return self.predicted.get(finding.name.removeprefix(f"{CALIBRATION.name}, "), 0)
        if finding.number == GROWTH.number:
            return self.total if finding.source == "served" else 0
        if finding.source == "reference":
            return self.total
        compared = self.arms.values() if finding.number in BETWEEN_ARMS else [self.arms.get(PERSONAL, 0)]
        return min((count for count in compared if count), default=0)


def withheld(finding: Finding, people: People, smallest: int) -> Finding:
    """The finding without what would show fewer than ``smallest`` people."""
    behind = people.behind(finding)
    if 0 < behind < smallest:
        note = f"{behind} people < {smallest} needed to show a figure"
        nothing: dict[str, float | None] = dict.fromkeys(finding.nulls)
        return replace(
            finding, value=None, low=None, high=None, nulls=nothing, cohorts={}, note=note, status="inconclusive"
        )
    if finding.source == "served" and 0 < people.arms.get(AGGREGATE, 0) < smallest:
        finding = replace(finding, nulls={**finding.nulls, AGGREGATE: None})
    whole = all(people.cohorts[name] >= smallest for name in finding.cohorts)
    return finding if whole else replace(finding, cohorts={})
