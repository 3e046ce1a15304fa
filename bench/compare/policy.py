"""What people get from a reward that chooses for them: the best of n candidates.

Best of n: of n of a menu's m candidates, drawn without replacement, the one predicted highest is taken. In ascending
order of prediction the r-th of m is taken in C(r−1, n−1) of the C(m, n) draws. Candidates predicted alike are taken
equally often. The expectation over draws is a weighted sum over the menu.

The candidates of a vote are all of a person's targets, and a candidate is worth 1 if they agree with it, else 0. Where
tastes are simulated a menu is the responses to one prompt, worth their hidden utility minus its mean over the prompt,
in units of the person's standard deviation. Recorded comparisons have no menu beyond the two responses: best of 2 is
the accuracy there.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.compare.measure import SIZES, Array
from bench.compare.method import PairBelief
from bench.compare.world import NOBODY, HeldOut, Menus, Pairs


def best_of(predicted: Array, worth: Array, n: int) -> float:
    """Expected worth of the candidate predicted highest among n drawn of m; NaN if the menu (m,) is smaller."""
    m = len(predicted)
    if m < n:
        return math.nan
    taken = np.array([math.comb(below, n - 1) for below in range(m)]) / math.comb(m, n)
    _, level, alike = np.unique(predicted, return_inverse=True, return_counts=True)
    together = np.bincount(level[np.argsort(predicted, kind="stable")], taken)
    return float((together / alike)[level] @ worth)


def chosen(people: Sequence[HeldOut], belief: PairBelief, predictions: Array) -> Array:
    """Worth (P, len(SIZES)) of what the belief chooses for each of P ``people``, from P(left) (N,) on their targets.

    NaN for a person without a menu of that size.
    """
    ends = np.cumsum([len(person.labels) for person in people])[:-1]
    values = [
        _of_person(belief, number, person, own)
        for number, (person, own) in enumerate(zip(people, np.split(predictions, ends), strict=True))
    ]
    return np.array(values, dtype=np.float64).reshape(len(values), len(SIZES))


def _of_person(belief: PairBelief, number: int, person: HeldOut, own: Array) -> list[float]:
    if person.menus is not None:
        return _of_menus(person.menus, _standings(belief, number, person.menus))
    if bool((person.targets.right == NOBODY).all()):
        return [best_of(own, person.labels.double().numpy(), n) for n in SIZES]
    return [math.nan] * len(SIZES)


def _of_menus(menus: Menus, standings: Array) -> list[float]:
    """The mean over prompts."""
    worth = menus.worth.numpy()
    prompts = [np.flatnonzero(menus.prompts.numpy() == prompt) for prompt in menus.prompts.unique().numpy()]
    return [float(np.mean([best_of(standings[rows], worth[rows], n) for rows in prompts])) for n in SIZES]


def _standings(belief: PairBelief, number: int, menus: Menus) -> Array:
    """Summed P(preferred) (M,) of every candidate over the others of its prompt."""
    left, right = torch.triu(menus.prompts[:, None] == menus.prompts, diagonal=1).nonzero().unbind(1)
    chance = belief.prefer(number, Pairs(menus.items[left], menus.items[right])).double()
    total = torch.zeros(len(menus.items), dtype=torch.float64)
    standings: NDArray[np.float64] = total.index_add(0, left, chance).index_add(0, right, 1 - chance).numpy()
    return standings


def worth_of(utilities: Tensor, prompts: Tensor) -> Tensor:
    """Utilities (M,) minus their mean over each of ``prompts`` (M,), over the root mean square of these deviations.

    Zeros for a person who is indifferent everywhere.
    """
    _, group = prompts.unique(return_inverse=True)
    mean = torch.zeros(int(group.max()) + 1, dtype=torch.float64).index_add(0, group, utilities) / group.bincount()
    deviation: Tensor = utilities - mean[group]
    spread = deviation.square().mean().sqrt()
    return deviation / spread if float(spread) > 0 else torch.zeros_like(deviation)
