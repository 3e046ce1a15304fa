"""From judgments to base rewards, choice constants and population; ``LearnSettings`` decide everything."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from elicitation import empirical
from elicitation.choice import ChoiceModel
from elicitation.crowd import Crowd
from elicitation.population import Population
from reward_bases.train.data.judgments import NOBODY, Judgments
from reward_bases.train.model.constants import NO_TIES, with_constants
from reward_bases.train.model.heads import Factors, Report, Ridges, aggregate_head, improve, start_factors
from reward_bases.train.model.held_mean import agreeing
from reward_bases.train.model.prior import with_prior

POPULATION_ROUNDS = 10
"""At most, of EM on the population."""
TIE_START = 0.5
STORED_NAMES = {"covariance_scale": "strength", "mean_shrinkage": "calm"}
"""What files call the settings that have another name there than here."""


@dataclass(frozen=True)
class LearnSettings:
    """Settings that ``choose`` decides on held-out people, or a user by hand.

    Attributes:
        learned: heads beside the aggregate and the fixed ones.
        ridge: prior precision of a learned head's weight on a feature of unit spread.
        aggregate_ridge: the same for the aggregate head.
        rounds: rounds of EM on the heads.
        population_rounds: at most so many on the population.
        consistency: standard deviation of log κ over people.
        components: Gaussians in the population.
        covariance_scale: factor on the learned covariance of people, for the learned heads.
        fixed_scale: the same for the given heads: the aggregate and the fixed ones.
        mean_held: whether λ̄ is the aggregate head, as sure as people are (``held_mean``), or learned by EM. A learned
            one is too sure of new prompts where it was learned from few.
        mean_shrinkage: factor on a learned mean, which is too sure of new prompts, and too sure if the covariance is
            served smaller than it was learned.
        label_noise: share of judgments made without looking.
        prior_spreads: standard deviations of people along the first given heads after the aggregate, nats per unit, as
            they were known before; none if nothing was.
        prior_people: as how many people ``prior_spreads`` count.
        seed: random seed.
    """

    learned: int = 8
    ridge: float = 1000.0
    aggregate_ridge: float = 100.0
    rounds: int = 4
    population_rounds: int = POPULATION_ROUNDS
    consistency: float = 0.0
    components: int = 1
    covariance_scale: float = 1.0
    fixed_scale: float = 1.0
    mean_held: bool = False
    mean_shrinkage: float = 1.0
    label_noise: float = 0.0
    prior_spreads: tuple[float, ...] = ()
    prior_people: float = 0.0
    seed: int = 0

    @property
    def ridges(self) -> Ridges:
        """Of the heads that EM learns."""
        return Ridges(None if self.mean_held else self.aggregate_ridge, self.ridge)

    @classmethod
    def of_stored(cls, stored: Mapping[str, Any]) -> "LearnSettings":
        """The inverse of ``as_stored``; 0.1.0 knew one scale for all heads."""
        names = {stored_name: name for name, stored_name in STORED_NAMES.items()}
        found = {names.get(name, name): value for name, value in stored.items()}
        spreads = tuple(found.get("prior_spreads", ()))
        return cls(**{"fixed_scale": found["covariance_scale"], **found, "prior_spreads": spreads})

    def as_stored(self) -> dict[str, Any]:
        """As JSON, by the names that files use."""
        return {STORED_NAMES.get(name, name): value for name, value in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class Learned:
    """Heads W (K, F), the population of λ (K,) over them, and how people choose."""

    heads: Tensor
    population: Population
    model: ChoiceModel

    @property
    def served_model(self) -> ChoiceModel:
        """The choice model for pairs without sides."""
        return replace(self.model, side_bias=0.0)


@dataclass(frozen=True, eq=False)
class Start:
    """The choice model, and the factors at which EM starts."""

    model: ChoiceModel
    factors: Factors


def silent(*_: object) -> None:
    """No report."""


def learn(
    judged: Judgments,
    fixed: Tensor,
    settings: LearnSettings,
    report: Report = silent,
    checkpoint: Factors | None = None,
) -> Learned:
    """Aggregate head, ``fixed`` heads (T, F) and learned ones, in this order, and their population.

    ``report`` receives the factors after every round; given back as ``checkpoint``, they lead to the same result.
    """
    return learn_from(begin(judged, fixed, settings, checkpoint), judged, fixed, settings, report)


def begin(judged: Judgments, fixed: Tensor, settings: LearnSettings, checkpoint: Factors | None = None) -> Start:
    """The start of EM.

    Of the settings only ``learned``, ``aggregate_ridge``, ``mean_held`` and ``label_noise`` matter.
    """
    model = how_people_choose(judged, fixed, settings)
    if checkpoint:
        return Start(model, checkpoint)
    head = everybodys_head(judged, model, fixed, settings)
    return Start(model, start_factors(judged, model, fixed, settings.learned, head))


def learn_from(
    start: Start, judged: Judgments, fixed: Tensor, settings: LearnSettings, report: Report = silent
) -> Learned:
    """The heads that EM reaches from ``start``, and their population."""
    return as_served(judged, learn_unscaled(start, judged, fixed, settings, report), settings, 1 + len(fixed))


def learn_unscaled(
    start: Start, judged: Judgments, fixed: Tensor, settings: LearnSettings, report: Report = silent
) -> Learned:
    """The same with the population as EM leaves it."""
    factors = improve(judged, start.model, len(fixed), start.factors, settings.ridges, settings.rounds, report)
    return learn_population(judged, Learned(factors.heads, factors.population, start.model), settings)


def everybodys_head(
    judged: Judgments, model: ChoiceModel, fixed: Tensor, settings: LearnSettings
) -> tuple[Tensor, Tensor]:
    """``aggregate_head``. One that is held is penalised in all features alike.

    Passed votes do not teach it; it is fitted to the others given that nobody passes.
    """
    if not settings.mean_held:
        return aggregate_head(judged, model, fixed, settings.aggregate_ridge)
    taught_by = replace(model, tie=NO_TIES) if judged.votes else model
    weights, alone = aggregate_head(judged.opinions, taught_by, fixed[:0], settings.aggregate_ridge)
    return weights, torch.cat([alone, torch.zeros(len(fixed), dtype=torch.float64)])


def how_people_choose(judged: Judgments, fixed: Tensor, settings: LearnSettings) -> ChoiceModel:
    """Tie and side bias at the aggregate, by maximum likelihood; there are no sides if every judgment is a vote."""
    model = ChoiceModel(tie=TIE_START, lapse=settings.label_noise, log_consistency_std=0.0)
    weights, coefficients = everybodys_head(judged, model, fixed, settings)
    utilities = judged.crowd((weights + coefficients[1:] @ fixed)[None]).differences[:, 0]
    return with_constants(model, utilities, judged.outcomes, sides=bool((judged.right != NOBODY).any()))


def learn_population(judged: Judgments, learned: Learned, settings: LearnSettings) -> Learned:
    """λ̄, Σ and the mixture over the heads of ``learned``, by EM from a single Gaussian."""
    model = replace(learned.model, log_consistency_std=settings.consistency)
    population = population_by_em(judged.crowd(learned.heads), model, learned.population, settings)
    return Learned(learned.heads, population, model)


def as_served(judged: Judgments, learned: Learned, settings: LearnSettings, given: int) -> Learned:
    """``learned`` by EM with its population as ``settings`` say; the first ``given`` heads were given."""
    crowd, is_given = judged.crowd(learned.heads), torch.arange(len(learned.heads)) < given
    return replace(learned, population=served_population(learned.population, crowd, learned.model, settings, is_given))


def population_from(
    crowd: Crowd, model: ChoiceModel, start: Population, settings: LearnSettings, given: Tensor
) -> Population:
    """λ̄, Σ and the mixture of ``settings``, by EM from the single Gaussian ``start``; a refit does the same.

    ``given`` (K,) bool are the heads that were not learned as tastes.
    """
    return served_population(population_by_em(crowd, model, start, settings), crowd, model, settings, given)


def population_by_em(crowd: Crowd, model: ChoiceModel, start: Population, settings: LearnSettings) -> Population:
    """The same before it is scaled."""
    population = empirical.learn(crowd, model, start, settings.population_rounds, settings.mean_held).population
    if settings.components == 1:
        return population
    generator = torch.Generator().manual_seed(settings.seed)
    divided = empirical.divided(population, settings.components, generator)
    return empirical.learn(crowd, model, divided, settings.population_rounds, settings.mean_held).population


def served_population(
    population: Population, crowd: Crowd, model: ChoiceModel, settings: LearnSettings, given: Tensor
) -> Population:
    """The population with covariance and mean as ``settings`` scale them, and the prior counted in."""
    scales = torch.where(given, settings.fixed_scale, settings.covariance_scale)
    scaled = empirical.with_covariance_scaled(population, scales)
    scaled = with_prior(scaled, settings.prior_spreads, settings.prior_people, crowd.size)
    factor = agreeing(scaled, model, crowd) if settings.mean_held else settings.mean_shrinkage
    return empirical.with_mean_shrunk(scaled, factor)
