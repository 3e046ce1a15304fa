"""Settings that the data support, chosen on people held out: heads, ridges, and the spread and consistency of people.

The criterion is the mean log-likelihood of held-out judgments. With ``new_prompts`` these are about prompts that no
training judgment was about, so that heads that memorise their prompts lose. One setting after the other moves along
its grid as long as the criterion rises.

The covariance scale comes late; it is lowered until the data support it (``covariance_scale``). If they support only
the smallest, people differ in no head, and the aggregate's ridge is chosen again for itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from elicitation.empirical import with_mean_shrunk
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.model.learn import (
    STORED_NAMES,
    Learned,
    LearnSettings,
    Start,
    begin,
    learn_from,
    learn_population,
)
from reward_bases.train.validate.covariance_scale import COVARIANCE_SCALES, Memory, supported_covariance_scale
from reward_bases.train.validate.inner_fold import InnerFold, inner_folds

HEAD_ROUNDS, PEOPLE_ROUNDS = 2, 4
"""Rounds of EM on the heads, and at most on the population, while settings are compared."""

HEADS: Mapping[str, tuple[Any, ...]] = {
    "ridge": (1.0, 10.0, 100.0, 1000.0, 10_000.0),
    "learned": (0, 2, 4, 6, 8, 12),
    "aggregate_ridge": (1.0, 10.0, 100.0, 1000.0, 10_000.0),
}
"""Settings for each of which the heads are learned again, in the order in which they are chosen."""
COMPARED = (0.25, 0.5, 1.0, 2.0)
"""Heads are compared at the best of these covariance scales: by what they see, not by how sure they are."""
PEOPLE: Mapping[str, Sequence[Any]] = {"components": (1, 2, 3), "consistency": (0.0, 0.3, 0.6)}
"""Settings of the population alone."""
MEAN_SHRINKAGES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)

MOST_PEOPLE, MOST_JUDGMENTS = 2000, 40_000
"""More than these add to the time, not to the choice."""

Criterion = Callable[[LearnSettings], float]
"""Mean log-likelihood of held-out judgments, nats."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Mean log-likelihood of held-out judgments under settings, nats, averaged over ``parts``.

    Everything learned is kept for the next trial. Heads are always learned at the consistency of ``start``.
    """

    parts: Sequence[InnerFold]
    fixed: Tensor
    start: LearnSettings
    _starts: dict[LearnSettings, list[Start]] = field(default_factory=dict)
    _taught: dict[LearnSettings, list[Learned]] = field(default_factory=dict)
    _populated: dict[LearnSettings, list[Learned]] = field(default_factory=dict)

    def heads(self, settings: LearnSettings) -> float:
        """At the best covariance scale of COMPARED."""
        pairs = zip(self.parts, self._learned(_briefly(settings)), strict=True)
        return fmean(max(part.mean_log_likelihoods(learned, COMPARED)) for part, learned in pairs)

    def people(self, settings: LearnSettings) -> float:
        """With the population as it is learned."""
        found = self.populated(_briefly(_as_learned(settings)))
        return fmean(part.mean_log_likelihood(one) for part, one in zip(self.parts, found, strict=True))

    def served(self, settings: LearnSettings) -> float:
        """With the population as it will be served."""
        found = self.populated(_as_learned(settings))
        served = (replace(one, population=with_mean_shrunk(one.population, settings.mean_shrinkage)) for one in found)
        scale = settings.covariance_scale
        return fmean(part.mean_log_likelihood(one, scale) for part, one in zip(self.parts, served, strict=True))

    def populated(self, settings: LearnSettings) -> list[Learned]:
        """The population of ``settings`` over heads learned briefly from a single Gaussian."""
        if settings not in self._populated:
            taught = self._learned(replace(_briefly(settings), components=1, consistency=self.start.consistency))
            self._populated[settings] = [
                learn_population(part.teach, one, settings) for part, one in zip(self.parts, taught, strict=True)
            ]
        return self._populated[settings]

    def _learned(self, settings: LearnSettings) -> list[Learned]:
        alike = replace(self.start, learned=settings.learned, aggregate_ridge=settings.aggregate_ridge)
        if alike not in self._starts:
            self._starts[alike] = [begin(part.teach, self.fixed, alike) for part in self.parts]
        if settings not in self._taught:
            self._taught[settings] = [
                learn_from(start, part.teach, self.fixed, settings)
                for start, part in zip(self._starts[alike], self.parts, strict=True)
            ]
        return self._taught[settings]


def choose_settings(
    judged: Judgments,
    fixed: Tensor,
    start: LearnSettings,
    new_prompts: bool,
    given: frozenset[str] = frozenset(),
    memory: Memory | None = None,
) -> LearnSettings:
    """The best settings by the criterion, searched from ``start``; those ``given`` stay as they are.

    ``memory`` records every value of the criterion; a value that it holds is not computed again.
    """
    memory = {} if memory is None else memory
    parts = inner_folds(judged, new_prompts, torch.Generator().manual_seed(start.seed))
    trials = Trials(parts, fixed, start)
    best = _climbed(start, HEADS, given, _remembered("heads", HEADS, trials.heads, memory))
    names = {**HEADS, **PEOPLE}
    best = _climbed(best, PEOPLE, given, _remembered("people", names, trials.people, memory))
    names = {**names, "covariance_scale": COVARIANCE_SCALES, "mean_shrinkage": MEAN_SHRINKAGES}
    served = _remembered("served", names, trials.served, memory)
    if "covariance_scale" not in given:
        best = _uphill(best, "covariance_scale", COVARIANCE_SCALES, served)
        largest = best.covariance_scale
        scale = supported_covariance_scale(parts, lambda: trials.populated(_as_learned(best)), largest, memory)
        best = replace(best, covariance_scale=scale)
    last: dict[str, Sequence[Any]] = {"mean_shrinkage": MEAN_SHRINKAGES}
    if best.covariance_scale == COVARIANCE_SCALES[0] and not given & {"learned", "components"}:
        best = replace(best, learned=0, components=1)
        last = {"aggregate_ridge": HEADS["aggregate_ridge"], **last}
    return _climbed(best, last, given, served)


def _briefly(settings: LearnSettings) -> LearnSettings:
    return replace(settings, rounds=HEAD_ROUNDS, population_rounds=PEOPLE_ROUNDS)


def _as_learned(settings: LearnSettings) -> LearnSettings:
    return replace(settings, covariance_scale=1.0, mean_shrinkage=1.0)


def steps(given: frozenset[str]) -> int:
    """How many values of the criterion the choice takes at most."""
    often = {"aggregate_ridge": 2 * HEADS["aggregate_ridge"], "covariance_scale": 3 * COVARIANCE_SCALES}
    grids = {**HEADS, **PEOPLE, **often, "mean_shrinkage": MEAN_SHRINKAGES}
    return sum(len(grid) for name, grid in grids.items() if name not in given)


def _climbed(
    settings: LearnSettings, grids: Mapping[str, Sequence[Any]], given: frozenset[str], criterion: Criterion
) -> LearnSettings:
    for name, grid in grids.items():
        if name not in given:
            settings = _uphill(settings, name, grid, criterion)
    return settings


def _uphill(settings: LearnSettings, name: str, grid: Sequence[Any], criterion: Criterion) -> LearnSettings:
    """Along ``grid`` from the place of ``settings``, in both directions until the criterion no longer rises."""
    start = grid.index(getattr(settings, name))
    values = {start: criterion(settings)}
    for places in (range(start - 1, -1, -1), range(start + 1, len(grid))):
        before = values[start]
        for place in places:
            values[place] = criterion(replace(settings, **{name: grid[place]}))
            if values[place] < before:
                break
            before = values[place]
    return replace(settings, **{name: grid[max(values, key=lambda place: values[place])]})


def _remembered(kind: str, names: Mapping[str, Any], criterion: Criterion, memory: Memory) -> Criterion:
    def known(settings: LearnSettings) -> float:
        key = ", ".join([kind, *(f"{STORED_NAMES.get(name, name)} {getattr(settings, name)}" for name in names)])
        if key not in memory:
            memory[key] = criterion(settings)
        return memory[key]

    return known
