"""Differences within prompts: the only data a head ever learns from."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from torch import Tensor

INVERSE_RIDGES = (0.002, 0.006, 0.02, 0.06, 0.2)
FOLDS = 5


@dataclass(frozen=True)
class Pairs:
    """Feature differences (N, F), signed labels (N,) in [-1, 1], the group (prompt) of each pair, weights (N,)."""

    differences: Tensor
    labels: Tensor
    groups: Tensor
    weights: Tensor

    def where(self, keep: Tensor) -> "Pairs":
        return Pairs(self.differences[keep], self.labels[keep], self.groups[keep], self.weights[keep])

    def accuracy(self, direction: Tensor) -> float:
        """Share of labelled pairs that ``direction`` (F,) orders as labelled; a tie of the direction counts half."""
        said = self.labels != 0
        z = (self.differences[said] @ direction) * self.labels[said].sign()
        hits = (z > 0).double() + 0.5 * (z == 0).double()
        return float((hits * self.weights[said]).sum() / self.weights[said].sum())


def within_prompts(values: Tensor, labels: Tensor, prompts: Tensor) -> Pairs:
    """All pairs of rows of ``values`` (n, F) that share a prompt, labelled by the difference of ``labels`` (n,)."""
    rows = [pair for p in prompts.unique() for pair in combinations(torch.nonzero(prompts == p).flatten().tolist(), 2)]
    left, right = torch.tensor(rows).T
    return Pairs(
        values[left] - values[right],
        (labels[left] - labels[right]).double(),
        prompts[left],
        torch.ones(len(rows), dtype=torch.float64),
    )


def spread_of(values: Tensor, prompts: Tensor) -> Tensor:
    """Pooled within-prompt standard deviation of each column of ``values`` (n, F); 1 for a column that never varies."""
    centred = torch.cat([values[prompts == p] - values[prompts == p].mean(0) for p in prompts.unique()])
    spread: Tensor = (centred.square().sum(0) / (len(values) - len(prompts.unique()))).sqrt()
    return torch.where(spread > 1e-9, spread, torch.ones_like(spread))


def within_spread(values: Tensor) -> Tensor:
    """Pooled within-prompt standard deviation (…,) of ``values`` (P, n, …), n responses to each of P prompts."""
    centred = values - values.mean(1, keepdim=True)
    spread: Tensor = (centred.square().sum((0, 1)) / (len(values) * (values.shape[1] - 1))).sqrt()
    return spread


def logistic_direction(pairs: Pairs, scale: Tensor, inverse_ridge: float) -> Tensor:
    """Ridge logistic fit of sign(labels) on ``differences / scale``, no intercept; weights (F,) on raw features."""
    said = pairs.labels != 0
    # Without an intercept a pair says the same in either order; alternating the order gives both classes.
    order = torch.ones(int(said.sum()), dtype=torch.float64)
    order[::2] = -1.0
    x, y = order[:, None] * pairs.differences[said] / scale, order * pairs.labels[said].sign()
    model = LogisticRegression(C=inverse_ridge, fit_intercept=False, max_iter=500, solver="newton-cholesky")
    model.fit(x.numpy(), y.numpy(), sample_weight=pairs.weights[said].numpy())
    return torch.from_numpy(model.coef_[0]) / scale


def chosen_inverse_ridge(pairs: Pairs, scale: Tensor) -> float:
    """The inverse ridge with the best accuracy over folds that hold out whole prompts."""
    folds = list(GroupKFold(FOLDS).split(pairs.groups, groups=pairs.groups.numpy()))

    def held_out(inverse_ridge: float) -> float:
        scores = []
        for train, test in folds:
            kept, left = pairs.where(torch.from_numpy(train)), pairs.where(torch.from_numpy(test))
            scores.append(left.accuracy(logistic_direction(kept, scale, inverse_ridge)))
        return float(np.mean(scores))

    return max(INVERSE_RIDGES, key=held_out)
