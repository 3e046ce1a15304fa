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
from reward_bases.train.model.constants import with_constants
from reward_bases.train.model.heads import Factors, Report, Ridges, aggregate_head, improve, start_factors

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
        covariance_scale: factor on the learned covariance of people.
        mean_shrinkage: factor on the learned mean, which is too sure of new prompts, and too sure if the covariance is
            served smaller than it was learned.
        label_noise: share of judgments made without looking.
        seed: random seed.
    """

    learned: int = 4
    ridge: float = 100.0
    aggregate_ridge: float = 100.0
    rounds: int = 4
    population_rounds: int = POPULATION_ROUNDS
    consistency: float = 0.0
    components: int = 1
    covariance_scale: float = 1.0
    mean_shrinkage: float = 1.0
    label_noise: float = 0.0
    seed: int = 0

    @classmethod
    def of_stored(cls, stored: Mapping[str, Any]) -> "LearnSettings":
        """The inverse of ``as_stored``."""
        names = {stored_name: name for name, stored_name in STORED_NAMES.items()}
        return cls(**{names.get(name, name): value for name, value in stored.items()})

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
    """The start of EM; of the settings only ``learned``, ``aggregate_ridge`` and ``label_noise`` matter."""
    model = how_people_choose(judged, fixed, settings)
    factors = checkpoint or start_factors(judged, model, fixed, settings.learned, settings.aggregate_ridge)
    return Start(model, factors)


def learn_from(
    start: Start, judged: Judgments, fixed: Tensor, settings: LearnSettings, report: Report = silent
) -> Learned:
    """The heads that EM reaches from ``start``, and their population."""
    ridges = Ridges(settings.aggregate_ridge, settings.ridge)
    factors = improve(judged, start.model, len(fixed), start.factors, ridges, settings.rounds, report)
    return learn_population(judged, Learned(factors.heads, factors.population, start.model), settings)


def how_people_choose(judged: Judgments, fixed: Tensor, settings: LearnSettings) -> ChoiceModel:
    """Tie and side bias at the aggregate, by maximum likelihood; there are no sides if every judgment is a vote."""
    model = ChoiceModel(tie=TIE_START, lapse=settings.label_noise, log_consistency_std=0.0)
    weights, coefficients = aggregate_head(judged, model, fixed, settings.aggregate_ridge)
    utilities = judged.crowd((weights + coefficients[1:] @ fixed)[None]).differences[:, 0]
    return with_constants(model, utilities, judged.outcomes, sides=bool((judged.right != NOBODY).any()))


def learn_population(judged: Judgments, learned: Learned, settings: LearnSettings) -> Learned:
    """λ̄, Σ and the mixture over the heads of ``learned``, by EM from a single Gaussian."""
    model = replace(learned.model, log_consistency_std=settings.consistency)
    crowd = judged.crowd(learned.heads)
    return Learned(learned.heads, population_from(crowd, model, learned.population, settings), model)


def population_from(crowd: Crowd, model: ChoiceModel, start: Population, settings: LearnSettings) -> Population:
    """λ̄, Σ and the mixture of ``settings``, by EM from the single Gaussian ``start``; a refit does the same."""
    population = empirical.learn(crowd, model, start, settings.population_rounds).population
    if settings.components > 1:
        generator = torch.Generator().manual_seed(settings.seed)
        divided = empirical.divided(population, settings.components, generator)
        population = empirical.learn(crowd, model, divided, settings.population_rounds).population
    population = empirical.with_mean_shrunk(population, settings.mean_shrinkage)
    return empirical.with_covariance_scaled(population, settings.covariance_scale)
