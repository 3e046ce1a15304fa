"""Settings that the data support, chosen on people held out: heads, ridges, and the spread and consistency of people.

The criterion is the mean log-likelihood of held-out judgments. With ``new_prompts`` these are about prompts that no
training judgment was about, so that heads that memorise their prompts lose. One setting after the other moves along
its grid as long as the criterion rises.

Where prompts are new λ̄ is held at the aggregate head, and what people add to it is added in turn: first the head alone,
then the spread over the given heads, then heads of tastes. Each must surely gain on what was there before it; else it
is left out. With tastes the given heads spread at least as far: alone, a trait may hide behind the others. A number
of heads other than that of the start must surely gain on it. Where prompts are known λ̄ is learned, and the scales come
last.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log1p
from typing import Any

import torch
from torch import Tensor

from elicitation.population import Population
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.model.learn import (
    STORED_NAMES,
    Learned,
    LearnSettings,
    Start,
    as_served,
    begin,
    learn_population,
    learn_unscaled,
)
from reward_bases.train.validate.covariance_scale import COVARIANCE_SCALES, Gains, Memory, remember, surest_scale
from reward_bases.train.validate.inner_fold import InnerFold, inner_folds

Grids = Mapping[str, Sequence[Any]]

HEAD_ROUNDS, PEOPLE_ROUNDS = 2, 4
"""Rounds of EM on the heads, and at most on the population, while settings are compared."""

AGGREGATE_RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)
HEADS: Grids = {
    "ridge": (1.0, 10.0, 100.0, 1000.0, 10_000.0),
    "learned": (0, 2, 4, 6, 8, 12),
}
"""Settings for each of which the heads are learned again, in the order in which they are chosen."""
COMPARED = (0.25, 0.5, 1.0, 2.0)
"""Heads are compared at the best of these covariance scales: by what they see, not by how sure they are."""
CONSISTENCIES = (0.0, 0.3, 0.6)
PEOPLE: Grids = {"components": (1, 2, 3), "consistency": CONSISTENCIES}
"""Settings of the population alone."""
PRIOR_PEOPLE = (0.0, 3.0, 10.0, 30.0, 100.0, 300.0)
LABEL_NOISES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
LEAST = COVARIANCE_SCALES[0]
"""People alike."""
MEAN_SHRINKAGES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)

MOST_PEOPLE, MOST_JUDGMENTS = 2000, 40_000
"""More than these add to the time, not to the choice."""

Criterion = Callable[[LearnSettings], float]
"""Mean log-likelihood of held-out judgments, nats."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Log-likelihoods of the judgments that ``parts`` hold out, nats, under settings.

    Everything learned is kept for the next trial. Heads are always learned at the consistency of ``start``.
    """

    parts: Sequence[InnerFold]
    fixed: Tensor
    start: LearnSettings
    _starts: dict[LearnSettings, list[Start]] = field(default_factory=dict)
    _taught: dict[LearnSettings, list[Learned]] = field(default_factory=dict)
    _populated: dict[LearnSettings, list[Learned]] = field(default_factory=dict)

    def alone(self, settings: LearnSettings) -> float:
        """Mean, of the aggregate head alone."""
        return float(self.each_alone(settings).mean())

    def heads(self, settings: LearnSettings) -> float:
        """Mean, of heads as they see."""
        return float(self.each_of_heads(settings).mean())

    def each_of_heads(self, settings: LearnSettings) -> Tensor:
        """Each judgment's (N,), of heads as they see: at the best covariance scale of COMPARED in each part."""
        every = [replace(settings, covariance_scale=scale) for scale in COMPARED]
        return torch.cat([found[found.sum(1).argmax()] for found in self._by_part(_briefly(settings), every)])

    def people(self, settings: LearnSettings) -> float:
        """Mean, with the population as it is learned."""
        return self.served(_briefly(_as_learned(settings)))

    def served(self, settings: LearnSettings) -> float:
        """Mean, with the population as it will be served."""
        return float(self.each(settings).mean())

    def each(self, settings: LearnSettings) -> Tensor:
        """Each judgment's (N,), with the population as it will be served."""
        return torch.cat(self._by_part(settings, [settings]), dim=1)[0]

    def decided(self, settings: LearnSettings) -> float:
        """Mean of ``each_decided``."""
        return float(self.each_decided(settings).mean())

    def each_decided(self, settings: LearnSettings) -> Tensor:
        """Each judgment's (N,), as ``each``, given that there are no ties if there are none.

        A random judgment is a tie in one case of three; where nobody can call two equal that would count against it.
        """
        ties = any(bool(draw.held_out.outcomes.ties.any()) for part in self.parts for draw in part.draws)
        return self.each(settings) - (0.0 if ties else log1p(-settings.label_noise / 3))

    def each_alone(self, settings: LearnSettings) -> Tensor:
        """Each judgment's (N,), by the aggregate head alone."""
        starts = self._begun(replace(settings, learned=0))
        heads = [start.factors.population.mean @ start.factors.heads for start in starts]
        known = zip(self.parts, heads, starts, strict=True)
        return torch.cat([part.log_likelihoods_of(head, start.model) for part, head, start in known])

    def gains(self, every: Sequence[LearnSettings], base: Tensor) -> Gains:
        """Of ``every`` settings, which differ in scales alone, on ``base`` (N,)."""
        return Gains.of(torch.cat(self._by_part(every[0], every), dim=1) - base, self.parts)

    def _by_part(self, learned_at: LearnSettings, every: Sequence[LearnSettings]) -> list[Tensor]:
        """Log-likelihoods (S, N) of each part's judgments under the scales of ``every`` settings."""
        given = 1 + len(self.fixed)

        def populations(part: InnerFold, learned: Learned) -> list[Population]:
            return [as_served(part.teach, learned, some, given).population for some in every]

        pairs = zip(self.parts, self._populations(_as_learned(learned_at)), strict=True)
        return [part.log_likelihoods(learned, populations(part, learned)) for part, learned in pairs]

    def _populations(self, settings: LearnSettings) -> list[Learned]:
        """The population of ``settings`` by EM over heads learned briefly from a single Gaussian."""
        if settings not in self._populated:
            taught = self._learned(replace(_briefly(settings), components=1, consistency=self.start.consistency))
            self._populated[settings] = [
                learn_population(part.teach, one, settings) for part, one in zip(self.parts, taught, strict=True)
            ]
        return self._populated[settings]

    def _learned(self, settings: LearnSettings) -> list[Learned]:
        if settings not in self._taught:
            self._taught[settings] = [
                learn_unscaled(start, part.teach, self.fixed, settings)
                for start, part in zip(self._begun(settings), self.parts, strict=True)
            ]
        return self._taught[settings]

    def _begun(self, settings: LearnSettings) -> list[Start]:
        decisive = ("learned", "aggregate_ridge", "label_noise")
        alike = replace(self.start, **{name: getattr(settings, name) for name in decisive})
        if alike not in self._starts:
            self._starts[alike] = [begin(part.teach, self.fixed, alike) for part in self.parts]
        return self._starts[alike]


def choose_settings(
    judged: Judgments,
    fixed: Tensor,
    start: LearnSettings,
    new_prompts: bool,
    given: frozenset[str] = frozenset(),
    memory: Memory | None = None,
    label_noise: bool = False,
) -> LearnSettings:
    """The best settings by the criterion, searched from ``start``; those ``given`` stay as they are.

    The share of random judgments is chosen only with ``label_noise``, and as how many people a prior counts only where
    ``start`` has one.

    ``memory`` records every value of the criterion; a value that it holds is not computed again.
    """
    if "mean_held" not in given:
        start = replace(start, mean_held=new_prompts)
    parts = inner_folds(judged, new_prompts, torch.Generator().manual_seed(start.seed))
    choice = _Choice(Trials(parts, fixed, start), given, {} if memory is None else memory)
    found = choice.around_the_head(start) if start.mean_held else choice.of_a_learned_mean(start)
    found = choice.of_prior(found) if start.prior_spreads else found
    return choice.of_label_noise(found) if label_noise else found


@dataclass(frozen=True, eq=False)
class _Choice:
    trials: Trials
    given: frozenset[str]
    memory: Memory

    def around_the_head(self, start: LearnSettings) -> LearnSettings:
        """Tastes beside the given heads, the given heads beside the aggregate alone, or the aggregate alone."""
        best = self._climbed(start, {"aggregate_ridge": AGGREGATE_RIDGES}, "alone")
        known = replace(best, learned=0, covariance_scale=LEAST)
        known = self._scaled(known, ("fixed_scale",), lambda: self.trials.each_alone(known))
        begun = self._climbed(replace(best, fixed_scale=known.fixed_scale), {"ridge": HEADS["ridge"]}, "heads")
        best = self._climbed(begun, {"learned": HEADS["learned"]}, "heads")
        best = self._surely(begun, best, "learned", self.trials.each_of_heads)
        if best.learned == 0:
            return known
        best = self._scaled(best, ("covariance_scale",), lambda: self.trials.each(known))
        if best.covariance_scale == LEAST and "learned" not in self.given:
            return known
        return self._climbed(best, {"consistency": CONSISTENCIES}, "served")

    def of_a_learned_mean(self, start: LearnSettings) -> LearnSettings:
        """If people surely differ in nothing, the aggregate's ridge is chosen again for itself."""
        best = self._climbed(start, {**HEADS, "aggregate_ridge": AGGREGATE_RIDGES}, "heads")
        best = self._climbed(best, PEOPLE, "people")
        alike = replace(best, covariance_scale=LEAST, fixed_scale=LEAST)
        best = self._scaled(best, ("covariance_scale", "fixed_scale"), lambda: self.trials.each(alike))
        last: Grids = {"mean_shrinkage": MEAN_SHRINKAGES}
        if best.covariance_scale == LEAST and not self.given & {"learned", "components"}:
            best = replace(best, learned=0, components=1)
            last = {"aggregate_ridge": AGGREGATE_RIDGES, **last}
        return self._climbed(best, last, "served")

    def of_prior(self, begun: LearnSettings) -> LearnSettings:
        """With the prior counted as so many people as predict best."""
        return self._climbed(begun, {"prior_people": PRIOR_PEOPLE}, "served")

    def of_label_noise(self, begun: LearnSettings) -> LearnSettings:
        """With the share of random judgments that predicts best, if it surely gains on that of ``begun``."""
        found = self._climbed(begun, {"label_noise": LABEL_NOISES}, "decided")
        return self._surely(begun, found, "label_noise", self.trials.each_decided)

    def _surely(
        self, begun: LearnSettings, found: LearnSettings, name: str, each: Callable[[LearnSettings], Tensor]
    ) -> LearnSettings:
        """``found``, if its setting ``name`` gains one standard error on that of ``begun``, by ``each`` judgment."""
        old, new = getattr(begun, name), getattr(found, name)
        if new == old:
            return begun
        key = f"{name} {new}, gained on {old}, standard errors"
        if key not in self.memory:
            gains = Gains.of((each(found) - each(begun))[None], self.trials.parts)
            self.memory[key] = float(gains.rates / gains.errors.clamp_min(1e-12))
        return found if self.memory[key] > 1 else begun

    def _scaled(self, settings: LearnSettings, names: Sequence[str], base: Callable[[], Tensor]) -> LearnSettings:
        """With the scales ``names`` at the surest gain on ``base``, or the least where none is sure."""
        if names[0] in self.given:
            return settings
        every = [self._at(settings, names, scale) for scale in COVARIANCE_SCALES]
        called = STORED_NAMES.get(names[0], names[0])
        if f"{called} {LEAST}, standard error" not in self.memory:
            remember(self.trials.gains(every, base()), called, self.memory)
        return every[COVARIANCE_SCALES.index(surest_scale(called, self.memory) or LEAST)]

    def _at(self, settings: LearnSettings, names: Sequence[str], scale: float) -> LearnSettings:
        """With the scales ``names`` at ``scale``. Who differ in tastes differ as much in the given heads."""
        found = _with(settings, dict.fromkeys(names, scale))
        if settings.learned == 0 or "fixed_scale" in self.given:
            return found
        return replace(found, fixed_scale=max(settings.fixed_scale, scale))

    def _climbed(self, settings: LearnSettings, grids: Grids, kind: str) -> LearnSettings:
        for name, grid in grids.items():
            if name not in self.given:
                settings = _uphill(settings, name, grid, self._remembered(kind))
        return settings

    def _remembered(self, kind: str) -> Criterion:
        criterion: Criterion = getattr(self.trials, kind)

        def known(settings: LearnSettings) -> float:
            key = ", ".join([kind, *(f"{name} {value}" for name, value in settings.as_stored().items())])
            if key not in self.memory:
                self.memory[key] = criterion(settings)
            return self.memory[key]

        return known


def steps(given: frozenset[str], label_noise: bool = False, prior: bool = False) -> int:
    """How many results the choice takes at most."""
    grids = {**HEADS, **PEOPLE, "aggregate_ridge": 2 * AGGREGATE_RIDGES, "mean_shrinkage": MEAN_SHRINKAGES}
    scales = dict.fromkeys(("covariance_scale", "fixed_scale"), 2 * COVARIANCE_SCALES)
    climbed = sum(len(grid) for name, grid in {**grids, **scales}.items() if name not in given)
    return climbed + ("learned" not in given) + label_noise * (1 + len(LABEL_NOISES)) + prior * len(PRIOR_PEOPLE)


def _with(settings: LearnSettings, changed: Mapping[str, Any]) -> LearnSettings:
    return replace(settings, **changed)


def _briefly(settings: LearnSettings) -> LearnSettings:
    return replace(settings, rounds=HEAD_ROUNDS, population_rounds=PEOPLE_ROUNDS)


def _as_learned(settings: LearnSettings) -> LearnSettings:
    return replace(settings, covariance_scale=1.0, fixed_scale=1.0, prior_people=0.0, mean_shrinkage=1.0)


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
