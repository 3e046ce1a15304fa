"""From judgments to base rewards, choice constants and population, with everything decided in ``Settings``."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation import empirical
from elicitation.choice import ChoiceModel
from elicitation.crowd import Crowd
from elicitation.population import Population
from reward_bases.train.data.judged import NOBODY, Judged
from reward_bases.train.model.constants import with_constants
from reward_bases.train.model.heads import Factors, Report, Ridges, aggregate_head, improve, start_factors

POPULATION_ROUNDS = 10
"""At most, of EM on the population."""
TIE_START = 0.5


@dataclass(frozen=True)
class Settings:
    """What ``choose`` decides on held-out people, or a user by hand.

    Attributes:
        learned: heads beside the aggregate and the fixed ones.
        ridge: prior precision of a learned head's weight on a feature of unit spread.
        aggregate_ridge: the same for the aggregate head.
        rounds: rounds of EM on the heads.
        population_rounds: at most so many on the population.
        consistency: standard deviation of log κ over people.
        components: Gaussians in the population.
        strength: factor on the learned covariance of people.
        calm: factor on the learned mean, which is too sure of prompts that are new and where people are held closer
            together than they were learned to be.
        label_noise: share of judgments made without looking.
        seed: of everything drawn.
    """

    learned: int = 4
    ridge: float = 100.0
    aggregate_ridge: float = 100.0
    rounds: int = 4
    population_rounds: int = POPULATION_ROUNDS
    consistency: float = 0.0
    components: int = 1
    strength: float = 1.0
    calm: float = 1.0
    label_noise: float = 0.0
    seed: int = 0


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
    """How people choose, and the factors from which EM sets out."""

    model: ChoiceModel
    factors: Factors


def silent(*_: object) -> None:
    """A report to nobody."""


def learn(
    judged: Judged, fixed: Tensor, settings: Settings, report: Report = silent, checkpoint: Factors | None = None
) -> Learned:
    """Aggregate head, ``fixed`` heads (T, F) and learned ones, in this order, and their population.

    ``report`` receives the factors after every round; given back as ``checkpoint``, they lead to the same result.
    """
    return learn_from(begin(judged, fixed, settings, checkpoint), judged, fixed, settings, report)


def begin(judged: Judged, fixed: Tensor, settings: Settings, checkpoint: Factors | None = None) -> Start:
    """Of the settings ``learned``, ``aggregate_ridge`` and ``label_noise`` alone matter."""
    model = how_people_choose(judged, fixed, settings)
    factors = checkpoint or start_factors(judged, model, fixed, settings.learned, settings.aggregate_ridge)
    return Start(model, factors)


def learn_from(start: Start, judged: Judged, fixed: Tensor, settings: Settings, report: Report = silent) -> Learned:
    """The heads that EM reaches from ``start``, and their population."""
    ridges = Ridges(settings.aggregate_ridge, settings.ridge)
    factors = improve(judged, start.model, len(fixed), start.factors, ridges, settings.rounds, report)
    return learn_population(judged, Learned(factors.heads, factors.population, start.model), settings)


def how_people_choose(judged: Judged, fixed: Tensor, settings: Settings) -> ChoiceModel:
    """Tie and side bias at the aggregate, by maximum likelihood; where every judgment is a vote there are no sides."""
    model = ChoiceModel(tie=TIE_START, lapse=settings.label_noise, log_consistency_std=0.0)
    weights, coefficients = aggregate_head(judged, model, fixed, settings.aggregate_ridge)
    utilities = judged.crowd((weights + coefficients[1:] @ fixed)[None]).differences[:, 0]
    return with_constants(model, utilities, judged.outcomes, sides=bool((judged.right != NOBODY).any()))


def learn_population(judged: Judged, learned: Learned, settings: Settings) -> Learned:
    """λ̄, Σ and the mixture over the heads of ``learned``, by EM from a single Gaussian."""
    model = replace(learned.model, log_consistency_std=settings.consistency)
    crowd = judged.crowd(learned.heads)
    return Learned(learned.heads, population_from(crowd, model, learned.population, settings), model)


def population_from(crowd: Crowd, model: ChoiceModel, start: Population, settings: Settings) -> Population:
    """λ̄, Σ and the mixture of ``settings``, by EM from the single Gaussian ``start``; what a refit does too."""
    population = empirical.learn(crowd, model, start, settings.population_rounds).population
    if settings.components > 1:
        generator = torch.Generator().manual_seed(settings.seed)
        divided = empirical.divided(population, settings.components, generator)
        population = empirical.learn(crowd, model, divided, settings.population_rounds).population
    return empirical.scaled(empirical.calmed(population, settings.calm), settings.strength)
