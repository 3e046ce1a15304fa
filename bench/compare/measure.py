"""How good predictions are, as ratios of sums over people, so that a bootstrap over people is a few matrix products.

The AUC over all targets of all people is one such ratio: of the pairs (preferred target of u, other target of v) the
share ranked rightly, summed over pairs of people. Counting those pairs once gives the AUC of every resampled crowd.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from elicitation.statistics import excess

SIZES = (2, 4, 8)
"""Numbers of candidates n of which the best is chosen."""
BINS = 15
"""Equal-width bins of the expected calibration error."""
LEAST = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1 in the log-likelihood, as scikit-learn's ``log_loss`` does."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over the targets of each of P people.

    ``wins`` (P, P): pairs of a preferred target of u and another target of v in which u's is ranked higher, ties one
    half; ``positives`` and ``negatives`` (P,) count them; ``correct``, ``surprise`` (nats) and ``squared`` (P,) sum
    what accuracy, log-likelihood and Brier score average; ``excess`` (P, BINS) sums prediction minus label per bin;
    ``best`` (P, len(SIZES)) is the worth of what is chosen for them out of so many candidates, NaN where it is unknown.

    Measures take weights (B, P), how often each person counts, and return (B,); where they are undefined, NaN.
    """

    wins: Array
    positives: Array
    negatives: Array
    correct: Array
    surprise: Array
    squared: Array
    excess: Array
    best: Array

    def of(self, people: NDArray[np.int64]) -> "Tally":
        """Of some of the people."""
        parts = (self.positives, self.negatives, self.correct, self.surprise, self.squared, self.excess, self.best)
        return Tally(self.wins[np.ix_(people, people)], *(part[people] for part in parts))

    def auc(self, weights: Array) -> Array:
        """Area under the ROC curve over all targets."""
        ranked = ((weights @ self.wins) * weights).sum(1)
        return _ratio(ranked, (weights @ self.positives) * (weights @ self.negatives))

    def auc_within(self, weights: Array) -> Array:
        """Mean over people of the AUC over their own targets, where these have both labels."""
        pairs = self.positives * self.negatives
        both = pairs > 0
        own = np.where(both, self.wins.diagonal() / np.where(both, pairs, 1), 0.0)
        return _ratio(weights @ own, weights @ both)

    def accuracy(self, weights: Array) -> Array:
        """Share of targets predicted rightly; an even prediction is half right."""
        return self._per_target(weights @ self.correct, weights)

    def nll(self, weights: Array) -> Array:
        """Mean negative log-likelihood, nats."""
        return self._per_target(weights @ self.surprise, weights)

    def brier(self, weights: Array) -> Array:
        """Mean squared error of the probability."""
        return self._per_target(weights @ self.squared, weights)

    def ece(self, weights: Array) -> Array:
        """Expected calibration error over BINS bins of equal width."""
        return self._per_target(np.abs(weights @ self.excess).sum(1), weights)

    def best_of(self, weights: Array, n: int) -> Array:
        """Mean over people of the worth of the candidate predicted highest among n, where it is known."""
        worth = self.best[:, SIZES.index(n)]
        known = np.isfinite(worth)
        return _ratio(weights @ np.where(known, worth, 0.0), weights @ known)

    def _per_target(self, totals: Array, weights: Array) -> Array:
        return _ratio(totals, weights @ (self.positives + self.negatives))


Measure = Callable[[Tally, Array], Array]

MEASURES: dict[str, Measure] = {
    "auc": Tally.auc,
    "auc_within": Tally.auc_within,
    "accuracy": Tally.accuracy,
    "nll": Tally.nll,
    "brier": Tally.brier,
    "ece": Tally.ece,
    **{f"best_of_{n}": partial(Tally.best_of, n=n) for n in SIZES},
}
"""Every measure by its name in the report."""


def tally(
    predictions: Array, labels: NDArray[np.bool_], owners: NDArray[np.int64], size: int, best: Array | None = None
) -> Tally:
    """Sums for ``size`` people from predictions, labels and owners (N,), with ``best`` as in the tally if known."""

    def per_person(values: Array) -> Array:
        return np.bincount(owners, values, minlength=size).astype(np.float64)

    truth = labels.astype(np.float64)
    likelihood = np.where(labels, predictions, 1 - predictions).clip(LEAST, 1 - LEAST)
    right = (likelihood > 0.5) + 0.5 * (likelihood == 0.5)
    chance, outcome, person = (torch.from_numpy(part) for part in (predictions, truth, owners))
    return Tally(
        wins=_wins(predictions, labels, owners, size),
        positives=per_person(truth),
        negatives=per_person(1 - truth),
        correct=per_person(right),
        surprise=per_person(-np.log(likelihood)),
        squared=per_person(np.square(predictions - truth)),
        excess=excess(chance, outcome, person, size, BINS).numpy(),
        best=np.full((size, len(SIZES)), np.nan) if best is None else best,
    )


def _wins(predictions: Array, labels: NDArray[np.bool_], owners: NDArray[np.int64], size: int) -> Array:
    """Pairs ranked rightly (P, P); for each negative, everybody's positives above it are read off a running count."""
    positive, negative = np.flatnonzero(labels), np.flatnonzero(~labels)
    positive = positive[np.argsort(predictions[positive], kind="stable")]
    marks = np.zeros((len(positive) + 1, size))
    marks[np.arange(1, len(positive) + 1), owners[positive]] = 1
    count = marks.cumsum(0)
    ranked, asked = predictions[positive], predictions[negative]
    below, upto = np.searchsorted(ranked, asked, "left"), np.searchsorted(ranked, asked, "right")
    above = count[-1] - (count[below] + count[upto]) / 2
    wins = np.zeros((size, size))
    np.add.at(wins, owners[negative], above)
    return wins.T


def _ratio(above: Array, below: Array) -> Array:
    ratio: Array = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratio
