"""What the data support, decided on people held out: heads, ridges, how strong and how consistent a population.

With ``new_prompts`` people are scored on prompts that no training judgment was about, so that heads that only know
their prompts by heart lose. One setting after the other is moved along its grid as long as the score rises.

The strength of the population comes late and is lowered until it is assured (``assured``). Where none is, there are no
heads in which people differ, and the aggregate's ridge is chosen anew for itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from elicitation.empirical import calmed
from reward_bases.train.data.judged import Judged
from reward_bases.train.model.learn import Learned, Settings, Start, begin, learn_from, learn_population
from reward_bases.train.validate.assured import STRENGTHS, Memory, assured_strength
from reward_bases.train.validate.development import Development, developments

HEAD_ROUNDS, PEOPLE_ROUNDS = 2, 4
"""Rounds of EM on the heads, and at most on the population, while settings are compared."""

HEADS: Mapping[str, tuple[Any, ...]] = {
    "ridge": (1.0, 10.0, 100.0, 1000.0, 10_000.0),
    "learned": (0, 2, 4, 6, 8, 12),
    "aggregate_ridge": (1.0, 10.0, 100.0, 1000.0, 10_000.0),
}
"""Settings that need the heads to be learned anew, in the order in which they are chosen."""
COMPARED = (0.25, 0.5, 1.0, 2.0)
"""Heads are compared at the best of these strengths: by what they see, not by how sure they are."""
PEOPLE: Mapping[str, Sequence[Any]] = {"components": (1, 2, 3), "consistency": (0.0, 0.3, 0.6)}
"""Settings of the population alone."""
CALM = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)

MOST_PEOPLE, MOST_JUDGMENTS = 2000, 40_000
"""More than these add to the time, not to the choice."""

Score = Callable[[Settings], float]


@dataclass(frozen=True, eq=False)
class Trials:
    """What settings score, nats a judgment, in the mean over ``parts``; what was learned on the way is kept.

    ``start`` has the consistency at which heads are learned, whatever that of the population is to be.
    """

    parts: Sequence[Development]
    fixed: Tensor
    start: Settings
    _starts: dict[Settings, list[Start]] = field(default_factory=dict)
    _taught: dict[Settings, list[Learned]] = field(default_factory=dict)
    _populated: dict[Settings, list[Learned]] = field(default_factory=dict)

    def heads(self, settings: Settings) -> float:
        """At the best strength of COMPARED."""
        taught = self._learned(_briefly(settings))
        return fmean(max(part.scores(one, COMPARED)) for part, one in zip(self.parts, taught, strict=True))

    def people(self, settings: Settings) -> float:
        """With the population as it is learned."""
        found = self.populated(_briefly(_as_learned(settings)))
        return fmean(part.score(one) for part, one in zip(self.parts, found, strict=True))

    def served(self, settings: Settings) -> float:
        """With the population as it will be served."""
        found = self.populated(_as_learned(settings))
        calmer = (replace(one, population=calmed(one.population, settings.calm)) for one in found)
        return fmean(part.score(one, settings.strength) for part, one in zip(self.parts, calmer, strict=True))

    def populated(self, settings: Settings) -> list[Learned]:
        """The population of ``settings`` over heads learned briefly from a single Gaussian."""
        if settings not in self._populated:
            taught = self._learned(replace(_briefly(settings), components=1, consistency=self.start.consistency))
            self._populated[settings] = [
                learn_population(part.teach, one, settings) for part, one in zip(self.parts, taught, strict=True)
            ]
        return self._populated[settings]

    def _learned(self, settings: Settings) -> list[Learned]:
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
    judged: Judged,
    fixed: Tensor,
    start: Settings,
    new_prompts: bool,
    given: frozenset[str] = frozenset(),
    memory: Memory | None = None,
) -> Settings:
    """The settings with the best score, from ``start``, of which those ``given`` stay.

    ``memory`` takes every score as it is found and, given back, spares it from being computed again.
    """
    memory = {} if memory is None else memory
    parts = developments(judged, new_prompts, torch.Generator().manual_seed(start.seed))
    trials = Trials(parts, fixed, start)
    best = _climbed(start, HEADS, given, _remembered("heads", HEADS, trials.heads, memory))
    names = {**HEADS, **PEOPLE}
    best = _climbed(best, PEOPLE, given, _remembered("people", names, trials.people, memory))
    names = {**names, "strength": STRENGTHS, "calm": CALM}
    served = _remembered("served", names, trials.served, memory)
    if "strength" not in given:
        best = _uphill(best, "strength", STRENGTHS, served)
        assured = assured_strength(parts, lambda: trials.populated(_as_learned(best)), best.strength, memory)
        best = replace(best, strength=assured)
    last: dict[str, Sequence[Any]] = {"calm": CALM}
    if best.strength == STRENGTHS[0] and not given & {"learned", "components"}:
        best = replace(best, learned=0, components=1)
        last = {"aggregate_ridge": HEADS["aggregate_ridge"], **last}
    return _climbed(best, last, given, served)


def _briefly(settings: Settings) -> Settings:
    return replace(settings, rounds=HEAD_ROUNDS, population_rounds=PEOPLE_ROUNDS)


def _as_learned(settings: Settings) -> Settings:
    return replace(settings, strength=1.0, calm=1.0)


def steps(given: frozenset[str]) -> int:
    """How many scores the choice takes at most."""
    often = {"aggregate_ridge": 2 * HEADS["aggregate_ridge"], "strength": 3 * STRENGTHS}
    grids = {**HEADS, **PEOPLE, **often, "calm": CALM}
    return sum(len(grid) for name, grid in grids.items() if name not in given)


def _climbed(settings: Settings, grids: Mapping[str, Sequence[Any]], given: frozenset[str], score: Score) -> Settings:
    for name, grid in grids.items():
        if name not in given:
            settings = _uphill(settings, name, grid, score)
    return settings


def _uphill(settings: Settings, name: str, grid: Sequence[Any], score: Score) -> Settings:
    """Along ``grid`` from where ``settings`` stand, in both directions until the score no longer rises."""
    start = grid.index(getattr(settings, name))
    scores = {start: score(settings)}
    for places in (range(start - 1, -1, -1), range(start + 1, len(grid))):
        before = scores[start]
        for place in places:
            scores[place] = score(replace(settings, **{name: grid[place]}))
            if scores[place] < before:
                break
            before = scores[place]
    return replace(settings, **{name: grid[max(scores, key=lambda place: scores[place])]})


def _remembered(kind: str, names: Mapping[str, Any], score: Score, memory: Memory) -> Score:
    def known(settings: Settings) -> float:
        key = ", ".join([kind, *(f"{name} {getattr(settings, name)}" for name in names)])
        if key not in memory:
            memory[key] = score(settings)
        return memory[key]

    return known
