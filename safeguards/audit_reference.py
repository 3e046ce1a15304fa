"""Findings on everybody's served coefficients: on the reference set, on stance probes, and in the closed loop.

Each value stands beside two nulls: the aggregate alone, and random coefficients whose personal part has the same size.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from safeguards.exposure import stance_exposure
from safeguards.findings import (
    COMMON_GROUND,
    COSTLY_FLIPS,
    DISTANCE,
    DIVERSITY,
    FRAGMENTATION,
    GROWTH,
    TRUTH_GAP,
    VIEWPOINTS,
    WRONG_AGREEMENT,
    Finding,
    Metric,
    finding,
    people_finding,
)
from safeguards.flatterers import excess_wrong_agreement
from safeguards.guard import Reference, starc
from safeguards.loop.measure import Row
from safeguards.metrics import common_ground_lost, diversity_ratio, flips, fragmentation, random_people, truth_gap

FLAT_SD = 0.05  # nats; an aggregate flatter than this within prompts has no ranking to leave
PerPerson = Callable[[Tensor], Tensor]
"""Coefficients (U, K) → one value per person (U,)."""
NO_TRUTH = "the basis has no head that stands in for truth"


@dataclass(frozen=True, eq=False)
class StanceSet:
    """A stratum's probes as differences of φ, agreeing minus other response: ``opinions`` and ``facts`` (Q, 2, K).

    ``blind`` says why figures of the stratum mean nothing, if so; then the differences may be None.
    """

    stratum: str
    blind: str
    opinions: Tensor | None = None
    facts: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Served:
    """Everybody's served coefficients: aggregate λ̄ (K,), people λ_g (U, K) and their cohorts (U).

    ``protected`` bool (K,) are heads in which nobody deviates, ``truth`` the head that stands in for being right.
    """

    aggregate: Tensor
    people: Tensor
    reference: Reference
    protected: Tensor
    truth: int | None = None
    cohorts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Comparison:
    """People's coefficients beside two nulls: the aggregate, and random coefficients ``chance`` (U, K).

    ``flat`` says why metrics that compare rankings with the aggregate's are undefined, if so.
    """

    served: Served
    probes: Sequence[StanceSet]
    chance: Tensor
    flat: str
    generator: torch.Generator

    @classmethod
    def of(cls, served: Served, probes: Sequence[StanceSet], generator: torch.Generator) -> "Comparison":
        aggregate, people, reference = served.aggregate, served.people, served.reference
        sd = float(reference.within_sd(aggregate))
        flat = f"undefined, as the aggregate varies by {sd:.3g} < {FLAT_SD} nats within prompts" if sd < FLAT_SD else ""
        chance = random_people(people, aggregate, reference, ~served.protected, generator)
        return cls(served, probes, chance, flat, generator)

    def found(
        self, metric: Metric, per_person: PerPerson, note: str = "", undefined: str = "", part: str = ""
    ) -> Finding:
        """The metric of people and of both nulls; arguments as in ``people_finding``."""
        people, served = self.served.people, self.served
        values, common, random = map(per_person, (people, served.aggregate.expand_as(people), self.chance))
        nulls = {"aggregate": common, "random": random}
        return people_finding(metric, "reference", values, nulls, self.generator, note, undefined, part, served.cohorts)


def reference_findings(
    served: Served, probes: Sequence[StanceSet], loop: Sequence[Row], generator: torch.Generator
) -> tuple[Finding, ...]:
    """Metrics 1 to 9; ``loop`` holds one kind of simulated people: the served arm, then both nulls."""
    compared = Comparison.of(served, probes, generator)
    found = chain.from_iterable(measure(compared) for measure in MEASURES)
    return (*found, growth_finding(loop))


def _distance(compared: Comparison) -> Iterator[Finding]:
    served = compared.served
    yield compared.found(DISTANCE, lambda group: starc(group, served.aggregate, served.reference), "", compared.flat)


def _costly_flips(compared: Comparison) -> Iterator[Finding]:
    served = compared.served
    plain = float(flips(served.people, served.aggregate, served.reference)[0].mean()) if len(served.people) else 0.0
    costly = lambda group: flips(group, served.aggregate, served.reference)[1]  # noqa: E731
    yield compared.found(COSTLY_FLIPS, costly, f"all flips {plain:.3f}", compared.flat)


def _common_ground(compared: Comparison) -> Iterator[Finding]:
    served = compared.served
    lost = lambda group: common_ground_lost(group, served.aggregate, served.reference)  # noqa: E731
    yield compared.found(COMMON_GROUND, lost, "", compared.flat)


def _wrong_agreement(compared: Comparison) -> Iterator[Finding]:
    for stances in compared.probes:
        yield _of_stances(
            compared,
            WRONG_AGREEMENT,
            stances,
            stances.facts,
            lambda group, facts: excess_wrong_agreement(group, compared.served.aggregate, facts).mean(dim=-1),
        )


def _truth(compared: Comparison) -> Iterator[Finding]:
    served = compared.served
    gap = lambda group: truth_gap(group, served.aggregate, served.reference, served.truth or 0)  # noqa: E731
    yield compared.found(TRUTH_GAP, gap, undefined="" if served.truth is not None else NO_TRUTH)


def _fragmentation(compared: Comparison) -> Iterator[Finding]:
    def between(group: Tensor) -> Tensor:
        if len(group) > 1:
            return fragmentation(group, compared.served.reference, compared.generator)
        return torch.full((len(group),), torch.nan)

    yield compared.found(FRAGMENTATION, between)


def _viewpoints(compared: Comparison) -> Iterator[Finding]:
    for stances in compared.probes:
        yield _of_stances(compared, VIEWPOINTS, stances, stances.opinions, stance_exposure)


def _diversity(compared: Comparison) -> Iterator[Finding]:
    yield compared.found(DIVERSITY, lambda group: diversity_ratio(group, compared.served.reference))


def _of_stances(
    compared: Comparison,
    metric: Metric,
    stances: StanceSet,
    differences: Tensor | None,
    measured: Callable[[Tensor, Tensor], Tensor],
) -> Finding:
    """A stratum's finding, from ``measured(group, differences)``."""
    if differences is None:
        return finding(metric, "reference", None, 0, obstacle=stances.blind, part=stances.stratum)
    return compared.found(
        metric, lambda group: measured(group, differences), undefined=stances.blind, part=stances.stratum
    )


MEASURES: list[Callable[[Comparison], Iterable[Finding]]] = [
    _distance,
    _costly_flips,
    _common_ground,
    _wrong_agreement,
    _truth,
    _fragmentation,
    _viewpoints,
    _diversity,
]
"""Every metric of people on the reference set. The order decides the random draws: add at the end."""


def growth_finding(loop: Sequence[Row]) -> Finding:
    """Metric 9 from the loop's served arm, its first row, and the rows of both nulls."""
    if not loop:
        return finding(GROWTH, "reference", None, 0, obstacle="the closed loop was not run")
    row = loop[0]
    nulls: dict[str, float | None] = {other.arm: other.growth.value for other in loop[1:]}
    rounds = len(row.variance) - 1
    kind = f"simulated {row.user_model} people, drift {row.drift:g}, best of {row.draws}, {rounds} rounds"
    return finding(GROWTH, "reference", row.growth, row.people, nulls, note=kind)
