"""One person's own audit: the metrics of their coefficients alone, without intervals, and what they were served."""

import torch

from app.audit.loop import TRUTH
from app.profiles.profiles import Profile, Profiles
from app.schemas.audits import OwnAuditReply, OwnFindingReply
from app.storage.traffic import ServedRanking
from safeguards.findings import COMMON_GROUND, COSTLY_FLIPS, DISTANCE, DIVERSITY, TRUTH_GAP, Metric
from safeguards.guard import starc
from safeguards.metrics import common_ground_lost, diversity_ratio, flips, truth_gap


def own_audit(profile: Profile, profiles: Profiles, rankings: list[ServedRanking]) -> OwnAuditReply:
    """Of somebody's current profile, on the reference set."""
    aggregate, reference = profiles.artifact.population.mean, profiles.policy.reference
    person = profile.guarded.coefficients[None]
    names = profiles.artifact.basis.names
    measured = {
        DISTANCE: starc(person, aggregate, reference),
        COSTLY_FLIPS: flips(person, aggregate, reference)[1],
        COMMON_GROUND: common_ground_lost(person, aggregate, reference),
        DIVERSITY: diversity_ratio(person, reference),
    }
    if TRUTH in names:
        measured[TRUTH_GAP] = truth_gap(person, aggregate, reference, names.index(TRUTH))
    ordered = sorted(measured.items(), key=lambda item: item[0].number)
    return OwnAuditReply(
        profile_version=profile.version,
        answered=len(profile.answers),
        findings=[_finding(metric, value) for metric, value in ordered if bool(value.isfinite().all())],
        rankings=len(rankings),
        by_aggregate=sum(ranking.arm == "aggregate" for ranking in rankings),
    )


def _finding(metric: Metric, value: torch.Tensor) -> OwnFindingReply:
    return OwnFindingReply(
        number=metric.number,
        name=metric.name,
        meaning=metric.meaning,
        value=float(value),
        unit=metric.unit,
        amber=metric.amber,
        red=metric.red,
        status=metric.judge(float(value)),
    )
