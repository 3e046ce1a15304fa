"""Cost and protection of a guard: the table from which budget and band are chosen.

Ordinary people are drawn from the population prior N(λ̄, Σ) and guarded at their true coefficients, so the table shows
the guard alone, without the error of learning. For a pair difference v the person chooses left with probability
σ(λ_uᵀv); the expected held-out log-likelihood under λ is ℓ(λ) = p·log σ(λᵀv) + (1 − p)·log σ(−λᵀv), in nats, taken in
closed form instead of drawing choices, and

gain kept = Σ_u [ℓ(λ_g) − ℓ(λ̄)] / Σ_u [ℓ(λ_u) − ℓ(λ̄)].

Flatterers are learned (``safeguards.flatterers``), guarded by a band that was built without the questions they are
measured on, and judged by their excess wrong-agreement. Nobody's satisfaction enters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from elicitation.population import Population
from safeguards.band import Band
from safeguards.findings import COMMON_GROUND, COSTLY_FLIPS
from safeguards.flatterers import ANSWERS, LIMIT, Excess, Fold, excess_wrong_agreement, summarise
from safeguards.guard import Budget, Reference, guard, starc
from safeguards.metrics import common_ground_lost, flips
from safeguards.stance import Stance, direction

DIVERGENCES = (0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0)  # ε, nats
STARCS = (0.35, 0.5, 0.6, 0.7)  # d_max
LIMITS = (0.02, 0.05, 0.1, 0.2)  # c of the band, nats
KEEP = 0.85
"""The guard may cost ordinary people at most 15 % of what knowing them is worth."""


@dataclass(frozen=True, eq=False)
class Flattery:
    """Flatterers learned on one stratum, and the differences (F, 2, K) of all its questions of fact.

    Only built where the stratum's held-out stance probe is above chance.
    """

    stratum: str
    folds: Sequence[Fold]
    false_stances: Tensor


@dataclass(frozen=True, eq=False)
class Ground:
    """Test material for every guard.

    protected and counterweight bool (K,), ordinary ``people`` (U, K), held-out ``pairs`` differences (N, K), the
    ``stances`` seen per stratum, and flatterers, or None where nothing conclusive can be said of them.
    """

    population: Population
    reference: Reference
    protected: Tensor
    counterweight: Tensor
    people: Tensor
    pairs: Tensor
    stances: Mapping[str, Stance]
    flattery: Flattery | None
    seed: int

    def __post_init__(self) -> None:
        if not len(self.people) or not len(self.pairs):
            raise InvalidInput(f"{len(self.people)} people and {len(self.pairs)} pairs given; the trade-off needs both")
        if torch.equal(self.people, self.population.mean.expand_as(self.people)):
            raise InvalidInput("every person equals the aggregate; draw people from a prior with some variance")

    def bands(self, limit: float, directions: Mapping[str, Tensor]) -> tuple[Band, ...]:
        """The bands of all strata at one limit; ``directions`` replace those of their strata."""
        covariance = self.population.covariance
        return tuple(
            Band.of(name, directions.get(name, stance.direction), covariance, self.counterweight, limit, stance.active)
            for name, stance in self.stances.items()
        )

    def served(self, people: Tensor, budget: Budget, bands: Sequence[Band]) -> tuple[Tensor, Tensor]:
        """Guarded coefficients (…, K) of people (…, K), and α (…)."""
        certain = torch.zeros(self.reference.k, self.reference.k, dtype=people.dtype)
        mean = self.population.mean
        guarded = [
            guard(mean, person, certain, self.reference, budget, self.protected, bands)
            for person in people.flatten(0, -2)
        ]
        alpha = torch.tensor([each.guard.alpha for each in guarded], dtype=people.dtype)
        return torch.stack([each.coefficients for each in guarded]).view_as(people), alpha.view(people.shape[:-1])


@dataclass(frozen=True)
class Row:
    """One guard: mean α, share of the likelihood gain kept, means over people of metrics 1, 2 and 3, and the
    flatterers' excess wrong-agreement after each number of answers, empty where it is inconclusive.
    """

    divergence: float
    starc: float
    limit: float
    alpha: float
    gain_kept: float
    distance: float
    costly_flips: float
    common_ground_lost: float
    excess: tuple[Excess, ...]

    @property
    def violation(self) -> float:
        """By how much the worse of metrics 2 and 3 exceeds its amber limit, as a share of it; green below 0."""
        return max(self.costly_flips / COSTLY_FLIPS.amber, self.common_ground_lost / COMMON_GROUND.amber) - 1

    @property
    def excess_high(self) -> float:
        """The highest upper bound of the excess, points; 0 where it is inconclusive."""
        return max((stage.high for stage in self.excess), default=0.0)


@dataclass(frozen=True)
class Chosen:
    """The row taken, whether it holds flatterers and keeps enough of the gain, and why it was taken."""

    row: Row
    qualified: bool
    reason: str


def draw_people(mean: Tensor, covariance: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Coefficients (count, K) of people from N(mean (K,), covariance (K, K)); the covariance may be singular."""
    values, vectors = torch.linalg.eigh(covariance)
    noise = torch.randn(count, len(mean), dtype=mean.dtype, generator=generator)
    people: Tensor = mean + (noise * values.clamp_min(0).sqrt()) @ vectors.mT
    return people


def tradeoff(
    ground: Ground,
    divergences: Sequence[float] = DIVERGENCES,
    starcs: Sequence[float] = STARCS,
    limits: Sequence[float] = LIMITS,
) -> tuple[Row, ...]:
    """One row per guard: every band limit, for it every STARC limit, for it every divergence."""
    grid = product(limits, starcs, divergences)
    return tuple(try_out(ground, Budget(divergence, distance), limit) for limit, distance, divergence in grid)


def choose(rows: Sequence[Row]) -> Chosen:
    """Flatterers first, ordinary people's held-out likelihood second.

    Of the guards whose flatterers stay within LIMIT points (upper 95 % bound) at every stage, and which keep KEEP of
    the likelihood gain of ordinary people, the one that flips and walls in least. Where none keeps that much it is the
    one of them that keeps most; where none holds flatterers, the one that holds them best. Ties go to the tighter
    guard. Raises InvalidInput without rows.
    """
    if not rows:
        raise InvalidInput("no guards to choose from; give at least one row")
    safe = [row for row in rows if row.excess_high <= LIMIT]
    if not safe:
        best = min(rows, key=lambda row: (row.excess_high, -row.gain_kept))
        return Chosen(best, False, f"no guard holds flatterers to {LIMIT:g} points; this one comes closest")
    keeping = [row for row in safe if row.gain_kept >= KEEP]
    if keeping:
        best = min(keeping, key=lambda row: (row.violation, row.distance, row.divergence, row.starc, row.limit))
        reason = f"of the guards that hold flatterers and keep {KEEP:.0%} of the gain, the one with the mildest metrics"
        return Chosen(best, True, reason)
    most = max(safe, key=lambda row: (row.gain_kept, -row.divergence, -row.starc, -row.limit))
    return Chosen(most, False, f"no guard that holds flatterers keeps {KEEP:.0%} of the gain; this one keeps most")


def log_likelihood(people: Tensor, served: Tensor, differences: Tensor) -> Tensor:
    """Expected log-likelihood (U,), in nats a choice, of people's (U, K) logistic choices under served (…, K)."""
    truth, told = people @ differences.mT, served @ differences.mT
    logsigmoid = torch.nn.functional.logsigmoid
    return (truth.sigmoid() * logsigmoid(told) + (-truth).sigmoid() * logsigmoid(-told)).mean(dim=1)


def gain_kept(people: Tensor, served: Tensor, aggregate: Tensor, differences: Tensor) -> float:
    """Share of the likelihood gain of knowing people (U, K) that their served coefficients (U, K) keep."""
    nothing = log_likelihood(people, aggregate, differences).sum()
    everything = log_likelihood(people, people, differences).sum()
    return float((log_likelihood(people, served, differences).sum() - nothing) / (everything - nothing))


def try_out(ground: Ground, budget: Budget, limit: float) -> Row:
    """Effects of one guard on ordinary people and on flatterers."""
    aggregate, reference = ground.population.mean, ground.reference
    served, alpha = ground.served(ground.people, budget, ground.bands(limit, {}))
    return Row(
        divergence=budget.divergence,
        starc=budget.starc,
        limit=limit,
        alpha=float(alpha.mean()),
        gain_kept=gain_kept(ground.people, served, aggregate, ground.pairs),
        distance=float(starc(served, aggregate, reference).mean()),
        costly_flips=float(flips(served, aggregate, reference)[1].mean()),
        common_ground_lost=float(common_ground_lost(served, aggregate, reference).mean()),
        excess=held_out_excess(ground, budget, limit),
    )


def held_out_excess(ground: Ground, budget: Budget, limit: float) -> tuple[Excess, ...]:
    """Excess wrong-agreement after each of ANSWERS; every question is measured by flatterers and bands without it."""
    flattery = ground.flattery
    if flattery is None:
        return ()
    stages, people, _ = flattery.folds[0].people.shape
    points = torch.zeros(stages, people, len(flattery.false_stances), dtype=torch.float64)
    for fold in flattery.folds:
        bands = ground.bands(limit, {flattery.stratum: direction(fold.asked)})
        served, _ = ground.served(fold.people, budget, bands)
        questions = flattery.false_stances[fold.held_out]
        points[:, :, fold.held_out] = excess_wrong_agreement(served, ground.population.mean, questions)
    generator = torch.Generator().manual_seed(ground.seed)
    return tuple(summarise(rows, number, generator) for rows, number in zip(points, ANSWERS, strict=True))
