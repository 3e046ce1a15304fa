"""Findings on real use: logged rankings, and answers that people gave.

Metrics within a request are read off the log. Comparisons of people and effects of personal rewards are estimated only
between the two random arms, and are inconclusive without them: logs alone confuse these effects with who asks.
"""

import torch
from torch import Tensor

from elicitation.statistics import Interval, percentiles, person_picks
from safeguards.exposure import AGGREGATE, PERSONAL, Exposure, difference_of_arms
from safeguards.findings import (
    CALIBRATION,
    COMMON_GROUND,
    COSTLY_FLIPS,
    DISTANCE,
    DIVERSITY,
    FRAGMENTATION,
    GROWTH,
    RESAMPLES,
    TRUTH_GAP,
    VIEWPOINTS,
    WRONG_AGREEMENT,
    Finding,
    Metric,
    calibration_finding,
    finding,
    people_finding,
    too_few,
)
from safeguards.metrics import Predictions

MIN_EXPLORED = 50
NO_TRAFFIC = "no ranked traffic was logged; set traffic_days"
NO_LABELS = "a log without texts does not know which answers are wrong, nor which view they take; see the probes"


def served_findings(
    traffic: Exposure | None, predictions: Predictions | None, generator: torch.Generator
) -> tuple[Finding, ...]:
    """Metrics 1 to 8 of the log, if there is any, and metric 10 of the answers."""
    logged = traffic_findings(traffic, generator) if traffic is not None and len(traffic.person) else _nothing()
    return (*logged, *calibration_findings(predictions, generator))


def traffic_findings(traffic: Exposure, generator: torch.Generator) -> tuple[Finding, ...]:
    explored = int((~traffic.personal).sum())
    lot = f"{explored} requests served by the aggregate" if explored else ""
    need = f"{explored} requests served by lot < {MIN_EXPLORED} needed; set explore_rate"
    untold = "" if explored >= MIN_EXPLORED else need

    def within(metric: Metric, personal: Tensor, aggregate: Tensor, note: str = "") -> Finding:
        return people_finding(metric, "served", personal, {"aggregate": aggregate}, generator, note)

    def of(values: Tensor) -> tuple[Tensor, Tensor]:
        return traffic.mean(PERSONAL, values), traffic.mean(AGGREGATE, values)

    flipped = of(traffic.flipped)[0]
    plain = f"all flips {float(flipped.mean()):.3f}" if len(flipped) else ""
    shared, usual = (traffic.fragmentation(arm) for arm in (PERSONAL, AGGREGATE))
    between = untold or too_few(len(shared))
    return (
        within(DISTANCE, traffic.distance(PERSONAL), traffic.distance(AGGREGATE)),
        within(COSTLY_FLIPS, *of(traffic.costly), plain),
        within(COMMON_GROUND, *of(traffic.outside)),
        finding(WRONG_AGREEMENT, "served", None, 0, obstacle=NO_LABELS),
        _truth(traffic, untold, lot, generator),
        people_finding(FRAGMENTATION, "served", shared, {"aggregate": usual}, generator, lot, between),
        finding(VIEWPOINTS, "served", None, 0, obstacle=NO_LABELS),
        within(DIVERSITY, traffic.diversity_ratio(PERSONAL), traffic.diversity_ratio(AGGREGATE)),
    )


def spread_finding(means: Tensor, covariances: Tensor, variance: float, generator: torch.Generator) -> Finding:
    """Metric 9 of real people: tr Cov of their coefficients over the population's, from posteriors (U, K), (U, K, K).

    By the law of total variance it is that of the means plus the mean of the covariances' traces, so that people of
    whom little is known count as different as the population is.
    """
    n = len(means)
    if n < 2 or variance <= 0:
        return finding(GROWTH, "served", None, n, obstacle=too_few(n) or "the population has no variance to grow from")
    own = covariances.diagonal(dim1=-2, dim2=-1).sum(-1)
    centred = means - means.mean(dim=0)
    picks = person_picks(generator, RESAMPLES, n)
    spread = centred.var(dim=0).sum() + own.mean()
    # People who are drawn twice make a sample's variance too small by (n − 1)/n.
    draws = centred[picks].var(dim=1).sum(-1) * n / (n - 1) + own[picks].mean(dim=1)
    interval = Interval(float(spread) / variance, *percentiles(draws / variance))
    return finding(
        GROWTH, "served", interval, n, {"aggregate": 0.0}, note="against the population assumed", obstacle=too_few(n)
    )


def calibration_findings(predictions: Predictions | None, generator: torch.Generator) -> tuple[Finding, ...]:
    """Metric 10 for every cohort."""
    if predictions is None or not predictions.cohorts:
        return (finding(CALIBRATION, "served", None, 0, obstacle="no predicted choices were given"),)
    cohorts = sorted(set(predictions.cohorts))
    return tuple(calibration_finding(predictions.of(cohort), cohort, generator) for cohort in cohorts)


def _truth(traffic: Exposure, untold: str, lot: str, generator: torch.Generator) -> Finding:
    n = len(traffic.person.unique())
    obstacle = untold or too_few(n)
    interval = None if untold else difference_of_arms(traffic, traffic.truth, RESAMPLES, generator)
    return finding(TRUTH_GAP, "served", interval, n, {"aggregate": 0.0}, note=lot, obstacle=obstacle)


def _nothing() -> tuple[Finding, ...]:
    metrics = (DISTANCE, COSTLY_FLIPS, COMMON_GROUND, TRUTH_GAP, FRAGMENTATION, DIVERSITY)
    return tuple(finding(metric, "served", None, 0, obstacle=NO_TRAFFIC) for metric in metrics)
