"""The prediction of people by a population that was learned without them.

The people are divided at random into folds; for each fold a population is learned from the others. Under it up to
``ANSWERS`` answers of every person in the fold, at most half, are observed, and their other answers are predicted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.crowd import Crowd, infer_many, rank_within
from elicitation.empirical import with_covariance_scaled
from elicitation.population import Population
from elicitation.statistics import percentiles, person_picks
from reward_bases.train.validate.inner_fold import ANSWERS, log_likelihood

FOLDS = 5
DRAWS = 2000
LEVEL = 0.95

Learner = Callable[[Crowd], Population]


@dataclass(frozen=True)
class HeldOut:
    """Log-likelihood of predicted answers in nats per answer, ``difference`` = ``new`` − ``old`` with its interval."""

    people: int
    answers: int
    old: float
    new: float
    difference: float
    low: float
    high: float

    @classmethod
    def of(cls, old: Tensor, new: Tensor, predicted: Tensor, generator: torch.Generator) -> "HeldOut":
        """From each person's sums (P,) and numbers of answers; 95 % percentile bootstrap over people."""
        drawn = person_picks(generator, DRAWS, len(old))
        gain = new - old
        means = gain[drawn].sum(1) / predicted[drawn].sum(1)
        low, high = percentiles(means, (1 - LEVEL) / 2)
        answers = int(predicted.sum())
        before, after, difference = (float(part.sum() / answers) for part in (old, new, gain))
        return cls(len(old), answers, before, after, difference, low, high)


def random_folds(size: int, generator: torch.Generator) -> Tensor:
    """A fold for each of ``size`` people (P,), the folds as equal as can be."""
    return torch.randperm(size, generator=generator) % FOLDS


def of_people(crowd: Crowd, chosen: Tensor) -> Crowd:
    """The answers of the people ``chosen`` (bool (P,)), renumbered in their order."""
    part, number = crowd.where(chosen[crowd.people]), chosen.long().cumsum(0) - 1
    return replace(part, people=number[part.people], size=int(chosen.sum()))


def learned_without(crowd: Crowd, fold: Tensor, learner: Learner) -> tuple[Population, ...]:
    """For each fold the population of everybody else."""
    return tuple(learner(of_people(crowd, fold != part)) for part in range(FOLDS))


def observed(crowd: Crowd) -> Tensor:
    """Which answers are observed, the first of each person: bool (N,)."""
    count = torch.bincount(crowd.people, minlength=crowd.size)
    return rank_within(crowd.people) < (count // 2).clamp(max=ANSWERS)[crowd.people]


def log_likelihoods(crowd: Crowd, fold: Tensor, populations: Sequence[Population], model: ChoiceModel) -> Tensor:
    """Each person's log-likelihood (P,) of the answers not observed, nats, under the population of their fold."""
    rows = observed(crowd)
    total = torch.zeros(crowd.size, dtype=torch.float64)
    for part, population in enumerate(populations):
        chosen = fold == part
        beliefs = infer_many(population, model, of_people(crowd.where(rows), chosen))
        rest = of_people(crowd.where(~rows), chosen)
        likelihood = log_likelihood(beliefs, model, rest)
        total[chosen] = torch.zeros(rest.size, dtype=torch.float64).index_add(0, rest.people, likelihood)
    return total


def best_covariance_scale(
    crowd: Crowd, fold: Tensor, populations: Sequence[Population], model: ChoiceModel, grid: Sequence[float]
) -> tuple[float, Tensor]:
    """The factor of ``grid`` on the covariances that predicts best, and everybody's log-likelihood (P,), nats.

    Each person's is taken with the factor that predicts the other folds best: nobody's own answers choose it.
    """

    def at(scale: float) -> Tensor:
        return log_likelihoods(crowd, fold, [with_covariance_scaled(one, scale) for one in populations], model)

    tried = torch.stack([at(scale) for scale in grid])
    fair = torch.empty(crowd.size, dtype=torch.float64)
    for part in range(FOLDS):
        fair[fold == part] = tried[int(tried[:, fold != part].sum(1).argmax()), fold == part]
    return grid[int(tried.sum(1).argmax())], fair
