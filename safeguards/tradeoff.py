"""What a budget costs and what it protects: the table the shipped budget is chosen from.

People are drawn from the population prior N(λ̄, Σ) and guarded at their true coefficients, so the table shows the guard
alone, without the error of learning. For a pair difference v the person chooses left with probability σ(λ_uᵀv); the
expected held-out log-likelihood under λ is ℓ(λ) = p·log σ(λᵀv) + (1 − p)·log σ(−λᵀv), in nats, taken in closed form
instead of drawing choices, and

gain kept = Σ_u [ℓ(λ_g) − ℓ(λ̄)] / Σ_u [ℓ(λ_u) − ℓ(λ̄)].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from safeguards.findings import COMMON_GROUND, COSTLY_FLIPS
from safeguards.guard import Budget, Reference, guard, starc
from safeguards.metrics import common_ground_lost, flips

DIVERGENCES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)  # ε, nats
STARCS = (0.35, 0.5, 0.6, 0.7)  # d_max
KEEP = 0.85
"""The guard may cost ordinary people at most 15 % of what knowing them is worth."""


@dataclass(frozen=True)
class Row:
    """One budget: mean α, share of the likelihood gain kept, and means over people of metrics 1, 2 and 3."""

    divergence: float
    starc: float
    alpha: float
    gain_kept: float
    distance: float
    costly_flips: float
    common_ground_lost: float

    @property
    def violation(self) -> float:
        """By how much the worse of metrics 2 and 3 exceeds its amber limit, as a share of it; green below 0."""
        return max(self.costly_flips / COSTLY_FLIPS.amber, self.common_ground_lost / COMMON_GROUND.amber) - 1


@dataclass(frozen=True)
class Chosen:
    """The row taken, whether it keeps enough of the gain, and why it was taken."""

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
    aggregate: Tensor,
    people: Tensor,
    reference: Reference,
    protected: Tensor,
    differences: Tensor,
    divergences: Sequence[float] = DIVERGENCES,
    starcs: Sequence[float] = STARCS,
) -> tuple[Row, ...]:
    """One row per budget. aggregate λ̄ (K,), people (U, K), protected bool (K,), held-out pair differences (N, K).

    Raises InvalidInput if there is nothing to gain: without people, pairs or any deviation from the aggregate.
    """
    if not len(people) or not len(differences):
        raise InvalidInput(f"{len(people)} people and {len(differences)} pairs given; the trade-off needs both")
    if torch.equal(people, aggregate.expand_as(people)):
        raise InvalidInput("every person equals the aggregate; draw people from a prior with some variance")
    budgets = [Budget(divergence, limit) for limit in starcs for divergence in divergences]
    return tuple(_row(aggregate, people, reference, protected, differences, budget) for budget in budgets)


def choose(rows: Sequence[Row]) -> Chosen:
    """The budget that flips and walls in least among those that keep KEEP of the likelihood gain of ordinary people.

    Where none keeps that much it is the one that keeps most. Ties go to the tighter budget. Raises InvalidInput
    without rows.
    """
    if not rows:
        raise InvalidInput("no budgets to choose from; give at least one row")
    qualified = [row for row in rows if row.gain_kept >= KEEP]
    if qualified:
        best = min(qualified, key=lambda row: (row.violation, row.distance, row.divergence, row.starc))
        return Chosen(best, True, f"of the budgets that keep {KEEP:.0%} of the gain, the one with the mildest metrics")
    most = max(rows, key=lambda row: (row.gain_kept, -row.divergence, -row.starc))
    return Chosen(most, False, f"no budget keeps {KEEP:.0%} of the gain; this one keeps most, {most.gain_kept:.1%}")


def log_likelihood(people: Tensor, served: Tensor, differences: Tensor) -> Tensor:
    """Expected log-likelihood (U,), in nats a choice, of people's (U, K) logistic choices under served (…, K)."""
    truth, told = people @ differences.mT, served @ differences.mT
    logsigmoid = torch.nn.functional.logsigmoid
    return (truth.sigmoid() * logsigmoid(told) + (-truth).sigmoid() * logsigmoid(-told)).mean(dim=1)


def _row(
    aggregate: Tensor, people: Tensor, reference: Reference, protected: Tensor, differences: Tensor, budget: Budget
) -> Row:
    certain = torch.zeros(reference.k, reference.k, dtype=people.dtype)
    guarded = [guard(aggregate, person, certain, reference, budget, protected) for person in people]
    served = torch.stack([each.coefficients for each in guarded])
    nothing = log_likelihood(people, aggregate, differences).sum()
    everything = log_likelihood(people, people, differences).sum()
    kept = (log_likelihood(people, served, differences).sum() - nothing) / (everything - nothing)
    return Row(
        divergence=budget.divergence,
        starc=budget.starc,
        alpha=sum(each.guard.alpha for each in guarded) / len(guarded),
        gain_kept=float(kept),
        distance=float(starc(served, aggregate, reference).mean()),
        costly_flips=float(flips(served, aggregate, reference)[1].mean()),
        common_ground_lost=float(common_ground_lost(served, aggregate, reference).mean()),
    )
