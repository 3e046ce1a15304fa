"""Statistics of samples of people: bootstrap, intervals, and how good scores and forecasts are.

What one person said hangs together, so people are the unit of a bootstrap: they are drawn with replacement, with all
that they said (Efron & Tibshirani, An Introduction to the Bootstrap, 1993). An interval holds the middle 95 % of the
draws. Measures take the weights of people, so that one call gives every draw's value.

* AUC: the share of pairs (an event, a non-event) that a score orders rightly; a tie is half right
* Brier score: mean (q − y)² of chances q and outcomes y ∈ {0, 1}; its skill is 1 − Brier/(ȳ(1 − ȳ)), which is 0 for
  chances that always are the base rate ȳ
* ECE, the expected calibration error, over equal bins of q: Σ_b |Σ_{i ∈ b} (q_i − y_i)|/N (Naeini et al. 2015)

P people, R draws, B rows of weights, N judgments. Every tensor is float64; a generator's numbers are drawn once, in the
order of the arguments.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

TAIL = 0.025
"""Share of the draws beyond either end of a 95 % interval."""
ROWS_AT_ONCE = 100
"""Rows of weights for which an AUC is computed together."""


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: Tensor) -> "Interval":
        """From draws (1 + R,): the first that of everybody, the others of resampled people, NaN where undefined."""
        return cls(float(draws[0]), *percentiles(draws[1:]))


def percentiles(draws: Tensor, tail: float = TAIL) -> tuple[float, float]:
    """Quantiles ``tail`` and 1 − ``tail`` of the draws (R,) that are not NaN."""
    low, high = draws.nanquantile(torch.tensor([tail, 1 - tail], dtype=draws.dtype)).tolist()
    return low, high


def person_picks(generator: torch.Generator, draws: int, *shape: int) -> Tensor:
    """Places of people drawn with replacement (R, …, P), as many as there are: the last of ``shape`` is P."""
    return torch.randint(shape[-1], (draws, *shape), generator=generator)


def person_weights(generator: torch.Generator, draws: int, *shape: int, each: float = 1.0) -> Tensor:
    """How often each person is drawn (R, …, P), times ``each``, as ``person_picks`` draws them."""
    picks = person_picks(generator, draws, *shape)
    weights = torch.zeros(draws, *shape, dtype=torch.float64)
    return weights.scatter_add_(-1, picks, torch.full(picks.shape, each, dtype=torch.float64))


def everybody_first(weights: Tensor) -> Tensor:
    """Weights (1 + R, …, P): a row in which each person counts once, then ``weights`` (R, …, P)."""
    return torch.cat([torch.ones_like(weights[:1]), weights])


def mean_interval(values: Tensor, draws: int, generator: torch.Generator) -> Interval:
    """The mean of one value per person (P,), with its bootstrap interval."""
    picks = person_picks(generator, draws, len(values))
    return Interval(float(values.mean()), *percentiles(values[picks].mean(dim=1)))


def weighted_mean(values: Tensor, person: Tensor, weights: Tensor) -> Tensor:
    """Mean (B,) of values (N,) of the people ``person`` (N,), who count as ``weights`` (B, P) say; NaN of nothing."""
    return weights @ person_sums(values, person, weights.shape[1]) / (weights @ _judgments(person, weights))


def person_sums(values: Tensor, person: Tensor, people: int) -> Tensor:
    """Sum of each person's values (N,) -> (P,)."""
    return torch.zeros(people, dtype=values.dtype).index_add_(0, person, values)


def win_share(advantages: Tensor) -> Tensor:
    """Share of positive entries along the last dimension, (…, n) -> (…); an exact tie counts half."""
    return ((advantages > 0).double() + 0.5 * (advantages == 0).double()).mean(dim=-1)


def auc(score: Tensor, outcome: Tensor, person: Tensor, weights: Tensor) -> Tensor:
    """AUC (B,) of a score (N,) of outcomes (N,) in {0, 1}, over all pairs of judgments; NaN of one outcome alone.

    Pairs are those of everybody with everybody; the people ``person`` (N,) count as ``weights`` (B, P) say.
    """
    levels, place = score.unique(return_inverse=True)
    found = []
    for rows in weights.split(ROWS_AT_ONCE):
        counted = rows[:, person]
        above, below = (
            torch.zeros(len(rows), len(levels), dtype=torch.float64).index_add_(1, place, counted * side)
            for side in (outcome, 1 - outcome)
        )
        ranked = (above * (below.cumsum(1) - below / 2)).sum(1)
        found.append(ranked / (above.sum(1) * below.sum(1)))
    return torch.cat(found)


def brier(chance: Tensor, outcome: Tensor) -> float:
    """Mean squared error of chances (N,) of outcomes (N,)."""
    return float((chance - outcome).square().mean())


def brier_skill(chance: Tensor, outcome: Tensor) -> float:
    """Share of the base rate's Brier score that chances (N,) save; NaN where only one thing ever happened."""
    rate = float(outcome.mean())
    return 1 - brier(chance, outcome) / (rate * (1 - rate)) if 0 < rate < 1 else float("nan")


def bin_of(chance: Tensor, bins: int) -> Tensor:
    """Which of ``bins`` equal bins of [0, 1] chances lie in, any shape; 1 is in the last."""
    return (chance * bins).long().clamp_max(bins - 1)


def excess(chance: Tensor, outcome: Tensor, person: Tensor, people: int, bins: int) -> Tensor:
    """Chance minus outcome, summed by person and bin (P, bins)."""
    sums = torch.zeros(people, bins, dtype=chance.dtype)
    return sums.index_put_((person, bin_of(chance, bins)), chance - outcome, accumulate=True)


def calibration_error(chance: Tensor, outcome: Tensor, person: Tensor, weights: Tensor, bins: int) -> Tensor:
    """ECE (B,) of chances (N,) of outcomes (N,), with the people ``person`` (N,) counting as ``weights`` (B, P) say."""
    beyond = excess(chance, outcome, person, weights.shape[1], bins)
    return (weights @ beyond).abs().sum(1) / (weights @ _judgments(person, weights))


def _judgments(person: Tensor, weights: Tensor) -> Tensor:
    """How many judgments each person made (P,)."""
    return torch.bincount(person, minlength=weights.shape[1]).to(weights.dtype)
