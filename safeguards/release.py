"""The release gate: may forecasts be called calibrated to within a declared margin?

Each slice (all forecasts, every cohort, every quarter of the training distances) gets an interval for its ECE from a
bootstrap over people. ECE and its resampled values are biased upwards, so each end errs towards saying nothing:

* high: the 97.5 % percentile; PASS needs high ≤ margin
* low: the value reflected, 2·ECE − the 97.5 % percentile; FAIL needs low > margin

Anything else is INCONCLUSIVE, as is every slice of fewer than 20 people. Forecasts farther from the training texts
than any of these are refused, not judged: a verdict speaks of the range that was trained on, and is INCONCLUSIVE when
more than a tenth lies beyond. The gate's verdict is that of its worst slice.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_number
from elicitation.errors import InvalidInput
from elicitation.statistics import everybody_first, person_weights
from safeguards.calibration import Forecasts

LEAST_PEOPLE = 20
MOST_BEYOND = 0.1
RESAMPLES = 1000
QUARTERS = 4


class Verdict(StrEnum):
    """In rising order of gravity."""

    PASS = "pass"  # noqa: S105 - no password
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"


GRAVITY = tuple(Verdict)


@dataclass(frozen=True)
class Slice:
    """Part of the forecasts: ECE with its interval, Brier score, and skill over the base rate.

    Figures of an empty slice are None, as is a skill where only one thing ever happened.
    """

    name: str
    forecasts: int
    people: int
    ece: float | None
    low: float | None
    high: float | None
    brier: float | None
    brier_skill: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Release:
    """``beyond`` forecasts were refused as farther than ``farthest`` from the training texts."""

    verdict: Verdict
    margin: float
    farthest: float
    beyond: int
    slices: tuple[Slice, ...]


def release(forecasts: Forecasts, trained: Tensor, margin: float, generator: torch.Generator) -> Release:
    """Judge ``forecasts`` against ``margin`` (ECE, in (0, 1)); ``trained`` (M,) are the training texts' distances.

    Raises InvalidInput for no forecasts, no training distances or a margin outside its range.
    """
    require_number("margin", margin, 1e-6, 1.0)
    require_finite("training distances", trained)
    if not len(trained) or not len(forecasts):
        raise InvalidInput(f"{len(forecasts)} forecasts and {len(trained)} training distances; both must be given")
    farthest = float(trained.max())
    within = forecasts.where(forecasts.distance <= farthest)
    parts = {"all": within}
    parts |= {name: within.where(_are(within.cohorts, name)) for name in sorted(set(within.cohorts))}
    parts |= _by_distance(within, trained)
    slices = tuple(_slice(name, part, margin, generator) for name, part in parts.items())
    beyond = len(forecasts) - len(within)
    verdicts = [part.verdict for part in slices]
    if beyond > MOST_BEYOND * len(forecasts):
        verdicts.append(Verdict.INCONCLUSIVE)
    return Release(max(verdicts, key=GRAVITY.index), margin, farthest, beyond, slices)


def _by_distance(forecasts: Forecasts, trained: Tensor) -> dict[str, Forecasts]:
    """The forecasts in quarters of the training distances."""
    edges = trained.quantile(torch.linspace(0, 1, QUARTERS + 1, dtype=trained.dtype))
    edges[0] = -torch.inf
    parts = {}
    for low, high in pairwise(edges.tolist()):
        inside = (forecasts.distance > low) & (forecasts.distance <= high)
        parts[f"distance ≤ {high:.2f}"] = forecasts.where(inside)
    return parts


def _slice(name: str, part: Forecasts, margin: float, generator: torch.Generator) -> Slice:
    people = part.people
    if not len(part):
        return Slice(name, 0, 0, None, None, None, None, None, Verdict.INCONCLUSIVE)
    ece, low, high = _interval(part, people, generator)
    skill = part.brier_skill
    verdict = Verdict.PASS if high <= margin else Verdict.FAIL if low > margin else Verdict.INCONCLUSIVE
    if people < LEAST_PEOPLE:
        verdict = Verdict.INCONCLUSIVE
    return Slice(name, len(part), people, ece, low, high, part.brier, skill if skill == skill else None, verdict)


def _interval(part: Forecasts, people: int, generator: torch.Generator) -> tuple[float, float, float]:
    errors = part.calibration_errors(everybody_first(person_weights(generator, RESAMPLES, people)))
    ece, high = float(errors[0]), float(errors[1:].quantile(0.975))
    return ece, max(2 * ece - high, 0.0), high


def _are(cohorts: tuple[str, ...], name: str) -> Tensor:
    return torch.tensor([cohort == name for cohort in cohorts], dtype=torch.bool)
