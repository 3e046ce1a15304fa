"""What the data support, decided on held-out people: heads, ridges, how strong and how consistent a population.

The people are divided into folds. Those of a fold teach nothing: up to ``ANSWERS`` judgments of each are read as
answers, and the log-likelihood of their other judgments scores a choice. With ``new_prompts`` those others are on
prompts that no training judgment was about, so that heads that only know their prompts by heart lose. One setting
after the other is moved along its grid as long as the score rises.

The strength of the population comes late and with caution: people may differ within a prompt (in their stance, say)
and yet in nothing that lasts to the next, and then answers that move rewards make them worse than the aggregate. Where
no strength is assured there are no heads in which people differ, and the aggregate's ridge is chosen anew for itself.
"""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.crowd import Beliefs, Crowd, infer_many, rank_within
from elicitation.empirical import calmed, scaled
from elicitation.quadrature import gauss_hermite
from reward_bases.train.folds import Fold, folds
from reward_bases.train.judged import Judged
from reward_bases.train.learn import Learned, Settings, learn, learn_population

ANSWERS = 10
READINGS = 2
"""How often a developing person's answers are drawn anew."""
HEAD_ROUNDS, PEOPLE_ROUNDS = 2, 4
"""Rounds of EM on the heads, and at most on the population, while settings are compared."""
NODES = 16

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
STRENGTHS = (0.01, 0.03, 0.1, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Weakest first."""
ASSURED = 2.0
"""Standard errors over people by which reading their answers must improve the prediction of the others."""

CALM = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)

MOST_PEOPLE, MOST_JUDGMENTS = 2000, 40_000
"""More than these add to the time, not to the choice."""

Memory = MutableMapping[str, float]
"""Scores (log-likelihood, nats) by what was scored, in the order of trying."""
Score = Callable[[Settings], float]


@dataclass(frozen=True, eq=False)
class Development:
    """``teach``: the judgments to learn from; ``readings`` of the others: (told, kept), to be read and predicted."""

    teach: Judged
    readings: tuple[tuple[Judged, Judged], ...]

    @classmethod
    def of(cls, judged: Judged, fold: Fold, generator: torch.Generator) -> "Development":
        """With people and prompts of the ``fold`` left out."""
        own = fold.people[judged.people]
        rest, old = judged.where(own), ~fold.new[own]
        readings = []
        for _ in range(READINGS):
            told = _few_of_each(rest.people, old, generator)
            kept = ~old if bool(fold.new.any()) else ~told
            readings.append((rest.where(told).of_people(fold.people), rest.where(kept).of_people(fold.people)))
        return cls(judged.where(~own & ~fold.new).of_people(~fold.people), tuple(readings))

    def unread(self) -> "Development":
        """The same with nothing told."""
        nothing = ((told.where(torch.zeros(len(told), dtype=torch.bool)), kept) for told, kept in self.readings)
        return Development(self.teach, tuple(nothing))

    def log_likelihoods(self, learned: Learned) -> Tensor:
        """Log-likelihood of the judgments kept, summed over each developing person's (P,), nats."""
        total = torch.zeros(self.readings[0][0].size, dtype=torch.float64)
        for told, kept in self.readings:
            beliefs = infer_many(learned.population, learned.model, told.crowd(learned.heads))
            total.index_add_(0, kept.people, log_likelihood(beliefs, learned.model, kept.crowd(learned.heads)))
        return total

    def judgments(self) -> Tensor:
        """How many judgments of each developing person are kept, over all readings (P,)."""
        return torch.stack([torch.bincount(kept.people, minlength=kept.size) for _, kept in self.readings]).sum(0)

    def score(self, learned: Learned, strength: float = 1.0) -> float:
        """Mean log-likelihood of the judgments kept, nats, with the population's covariance times ``strength``."""
        stronger = replace(learned, population=scaled(learned.population, strength))
        return float(self.log_likelihoods(stronger).sum()) / max(1, sum(len(kept) for _, kept in self.readings))


def log_likelihood(beliefs: Beliefs, model: ChoiceModel, crowd: Crowd) -> Tensor:
    """Log predictive probability (N,) of the answers of ``crowd`` by the people believed in, nats."""
    x, w = gauss_hermite(NODES)
    who, v = crowd.people, crowd.differences
    total = torch.full((len(v),), -torch.inf, dtype=torch.float64)
    for c in range(beliefs.means.shape[1]):
        for j, node in enumerate(beliefs.nodes):
            centre = (v * beliefs.means[who, c, j]).sum(1) + model.side_bias
            spread = torch.einsum("nk,nkl,nl->n", v, beliefs.covariances[who, c, j], v).clamp_min(0).sqrt()
            share, consistency = beliefs.shares[who, c, j].log(), float(node.exp())
            for step, weight in zip(x.tolist(), w.log().tolist(), strict=True):
                given = model.log_likelihood(centre + step * spread, crowd.outcomes, consistency)
                total = torch.logaddexp(total, share + weight + given)
    return total


@dataclass(frozen=True, eq=False)
class Trials:
    """What settings score, nats a judgment, in the mean over ``parts``; what was learned on the way is kept.

    ``start`` has the consistency at which heads are learned, whatever that of the population is to be.
    """

    parts: Sequence[Development]
    fixed: Tensor
    start: Settings
    _taught: dict[Settings, list[Learned]] = field(default_factory=dict)
    _populated: dict[Settings, list[Learned]] = field(default_factory=dict)

    def heads(self, settings: Settings) -> float:
        """At the best strength of COMPARED."""
        found = (learn(part.teach, self.fixed, _briefly(settings)) for part in self.parts)
        return fmean(max(part.score(one, s) for s in COMPARED) for part, one in zip(self.parts, found, strict=True))

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
        single = replace(_briefly(settings), components=1, consistency=self.start.consistency)
        if single not in self._taught:
            self._taught[single] = [learn(part.teach, self.fixed, single) for part in self.parts]
        if settings not in self._populated:
            self._populated[settings] = [
                learn_population(part.teach, one, settings)
                for part, one in zip(self.parts, self._taught[single], strict=True)
            ]
        return self._populated[settings]


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
    if "strength" not in given:
        best = replace(best, strength=assured_strength(parts, lambda: trials.populated(_as_learned(best)), memory))
    last: dict[str, Sequence[Any]] = {"calm": CALM}
    if best.strength == STRENGTHS[0] and not given & {"learned", "components"}:
        best = replace(best, learned=0, components=1)
        last = {"aggregate_ridge": HEADS["aggregate_ridge"], **last}
    names = {**names, "strength": STRENGTHS, "calm": CALM}
    return _climbed(best, last, given, _remembered("served", names, trials.served, memory))


def _briefly(settings: Settings) -> Settings:
    return replace(settings, rounds=HEAD_ROUNDS, population_rounds=PEOPLE_ROUNDS)


def _as_learned(settings: Settings) -> Settings:
    return replace(settings, strength=1.0, calm=1.0)


def steps(given: frozenset[str]) -> int:
    """How many scores the choice takes at most."""
    twice = {"aggregate_ridge": 2 * HEADS["aggregate_ridge"], "strength": 2 * STRENGTHS}
    grids = {**HEADS, **PEOPLE, **twice, "calm": CALM}
    return sum(len(grid) for name, grid in grids.items() if name not in given)


def developments(judged: Judged, new_prompts: bool, generator: torch.Generator) -> list[Development]:
    """One per fold of the people of ``judged``."""
    parts = folds(judged.size, judged.prompts, new_prompts, generator)
    return [Development.of(judged, part, generator) for part in parts]


def assured_strength(parts: Sequence[Development], learned: Callable[[], list[Learned]], memory: Memory) -> float:
    """The best strength, lowered until answers help; the weakest where they never do.

    They help where reading them predicts people better than not reading them, by ASSURED standard errors of the gain
    per judgment, whose error is taken over people: one who judged a thousand times is one witness.
    """
    judgments = torch.cat([part.judgments() for part in parts])

    def sums(development: Callable[[Development], Development], strength: float) -> Tensor:
        stronger = (replace(one, population=scaled(one.population, strength)) for one in learned())
        return torch.cat([development(p).log_likelihoods(one) for p, one in zip(parts, stronger, strict=True)])

    for strength in STRENGTHS:
        if f"strength {strength}" not in memory:
            read = sums(lambda part: part, strength)
            memory[f"strength {strength}"] = float(read.sum())
            gained = standard_errors(read - sums(Development.unread, strength), judgments)
            memory[f"strength {strength}, standard errors gained"] = gained
    best = max(STRENGTHS, key=lambda strength: memory[f"strength {strength}"])
    helps = [s for s in STRENGTHS if s <= best and memory[f"strength {s}, standard errors gained"] >= ASSURED]
    return max(helps, default=STRENGTHS[0])


def standard_errors(gains: Tensor, judgments: Tensor) -> float:
    """By how many of its standard errors Σ gains (P,) / Σ judgments (P,) is above 0, whoever were left out of it.

    The error is the jackknife's over people (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982).
    """
    rate = gains.sum() / judgments.sum().clamp_min(1)
    without = (gains.sum() - gains) / (judgments.sum() - judgments).clamp_min(1)
    return float(rate / (without - rate).square().sum().sqrt().clamp_min(1e-12))


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


def _few_of_each(people: Tensor, eligible: Tensor, generator: torch.Generator) -> Tensor:
    """At most ANSWERS, and at most half, of each person's eligible rows by lot: bool (N,)."""
    key = torch.rand(len(people), generator=generator) + (~eligible).double()
    count = torch.bincount(people[eligible], minlength=int(people.max()) + 1 if len(people) else 0)
    return eligible & (rank_within(people, key) < (count[people] // 2).clamp(max=ANSWERS))
