"""The population learned from many people's answers: empirical Bayes by EM on the marginal likelihood.

    E   everybody's posterior under the current population (Laplace, κ integrated out): shares r, means m, covariances C
    M   w_c = Σ_u r_uc/P,  μ_c = Σ_u r_uc·m_uc/Σ_u r_uc,  Σ_c = Σ_u r_uc·(C_uc + (m_uc − μ_c)(m_uc − μ_c)ᵀ)/Σ_u r_uc

Heads without prior variance stay protected. A round needs only sums over people, so a crowd of any size passes in
chunks. To learn without a person is to learn from the sums of the others.

Source: Dempster, Laird and Rubin (1977); Bock and Aitkin (1981) for the marginal likelihood of latent traits.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import repeat
from operator import add

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.crowd import Beliefs, Crowd, infer_many
from elicitation.errors import InvalidInput
from elicitation.laplace import covariance_root
from elicitation.population import Component, Population

PEOPLE_AT_ONCE = 5000
TOLERANCE = 1e-4
"""EM ends when a round adds less log evidence per person than this, nats."""
APART = 1.0
"""How far apart the components of a mixture start, in prior standard deviations."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over people: shares (C,), first moments (C, K) and second moments (C, K, K) of λ, log evidence."""

    shares: Tensor
    first: Tensor
    second: Tensor
    log_evidence: float

    @classmethod
    def of(cls, beliefs: Beliefs) -> "Moments":
        r, m = beliefs.shares, beliefs.means
        within = torch.einsum("pcj,pcjkl->ckl", r, beliefs.covariances)
        return cls(
            shares=r.sum((0, 2)),
            first=torch.einsum("pcj,pcjk->ck", r, m),
            second=within + torch.einsum("pcj,pcjk,pcjl->ckl", r, m, m),
            log_evidence=float(beliefs.log_evidence.sum()),
        )

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.shares + other.shares,
            self.first + other.first,
            self.second + other.second,
            self.log_evidence + other.log_evidence,
        )

    def population(self, current: Population, mean_held: bool = False) -> Population:
        """The M step; heads that are protected in the ``current`` population stay as they are.

        With ``mean_held`` all means stay, and the covariances are around them.
        """
        free = ~current.protected
        weights = (self.shares / self.shares.sum()).tolist()
        components = []
        for old, weight, share, first, second in zip(
            current.components, weights, self.shares, self.first, self.second, strict=True
        ):
            found = first / share
            mean = old.mean if mean_held else found
            cross = torch.outer(mean, found)
            covariance = second / share - cross - cross.T + torch.outer(mean, mean)
            covariance = (covariance + covariance.T) / 2 * (free[:, None] & free)
            components.append(Component(weight, torch.where(free, mean, current.mean), covariance))
        return Population(tuple(components))


@dataclass(frozen=True, eq=False)
class Fit:
    """A learned population and the EM rounds that led to it.

    ``log_evidence`` is in nats, before each round; ``means`` (P, C, J, K) are everybody's in the last round.
    """

    population: Population
    log_evidence: tuple[float, ...]
    means: Tensor | None


def learn(crowd: Crowd, model: ChoiceModel, start: Population, rounds: int, mean_held: bool = False) -> Fit:
    """At most ``rounds`` of EM from ``start``, whose number of components is kept, and with ``mean_held`` its means.

    Raises InvalidInput for an empty crowd and NotConverged when somebody's mode is not found.
    """
    if crowd.size == 0:
        raise InvalidInput("0 people; a population is learned from at least 1")
    population, path, means = start, [-torch.inf], None
    for _ in range(rounds):
        sums, means = moments(crowd, model, population, means)
        path.append(sums.log_evidence)
        population = sums.population(population, mean_held)
        if path[-1] - path[-2] < TOLERANCE * crowd.size:
            break
    return Fit(population, tuple(path[1:]), means)


def moments(
    crowd: Crowd, model: ChoiceModel, population: Population, near: Tensor | None = None
) -> tuple[Moments, Tensor]:
    """The E step summed over people, and everybody's means (P, C, J, K).

    The search for the means starts at ``near``. The answers must be sorted by person.
    """
    sums, means = zip(
        *((Moments.of(part), part.means) for part in believed(crowd, model, population, near)), strict=True
    )
    return reduce(add, sums), torch.cat(means)


def believed(crowd: Crowd, model: ChoiceModel, population: Population, near: Tensor | None = None) -> Iterator[Beliefs]:
    """Everybody's posteriors, PEOPLE_AT_ONCE at a time; the answers must be sorted by person."""
    starts = repeat(None) if near is None else near.split(PEOPLE_AT_ONCE)
    for part, start in zip(crowd.chunks(PEOPLE_AT_ONCE), starts, strict=False):
        yield infer_many(population, model, part, start)


def divided(population: Population, components: int, generator: torch.Generator) -> Population:
    """A mixture to start EM from: a single Gaussian's copies, moved apart at random along its own spread."""
    (whole,) = population.components
    root = covariance_root(whole.covariance)
    steps = torch.randn(components, root.shape[1], generator=generator, dtype=torch.float64)
    steps = APART * (steps - steps.mean(0))
    return Population(tuple(replace(whole, weight=1 / components, mean=whole.mean + root @ step) for step in steps))


def with_mean_shrunk(population: Population, factor: float) -> Population:
    """The population with its mean times ``factor``; components move together, so people differ as before."""
    shift = (factor - 1) * population.mean
    return Population(tuple(replace(part, mean=part.mean + shift) for part in population.components))


def with_covariance_scaled(population: Population, factor: float | Tensor) -> Population:
    """The population with every component's covariance times ``factor`` > 0: how far people may be from its mean.

    Of factors (K,), one for each head, a covariance of two heads is multiplied by the geometric mean.
    """
    times = torch.as_tensor(factor, dtype=torch.float64).expand(population.k).sqrt()
    both = torch.outer(times, times)
    return Population(tuple(replace(part, covariance=both * part.covariance) for part in population.components))
