"""Ratings to pairs: of two responses to a prompt that one person rated, the one rated higher wins.

Equally rated ones are the same. No strength is derived: people use scales differently, and what they did not say is not
known.
"""

import itertools
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Rows = NDArray[np.void]
Indices = NDArray[np.int64]


def alone(rows: Rows) -> NDArray[np.bool_]:
    """(N,) ratings that are their person's only one of the prompt."""
    order = np.lexsort((rows["prompt"], rows["person"]))
    starts = _starts(rows[order])
    found = np.zeros(len(rows), dtype=bool)
    found[order[starts[:-1][np.diff(starts) == 1]]] = True
    return found


def compared(rows: Rows, rank: Indices, limit: int, seed: int) -> Rows:
    """Pairs of the ratings ``rows``, sorted by person and prompt; the item of smaller ``rank`` (M,) stands left.

    Where one person's ratings of one prompt make more than ``limit`` pairs, these are ``limit`` drawn by ``seed``.
    """
    rows = rows[np.lexsort((rows["prompt"], rows["person"]))]
    generator = torch.Generator().manual_seed(seed)
    groups = itertools.pairwise(_starts(rows).tolist())
    drawn = [first + _pairs(last - first, limit, generator) for first, last in groups]
    left, right = np.concatenate(drawn, axis=1)
    swap = rank[rows["left"][left]] > rank[rows["left"][right]]
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    pairs: Rows = rows[left]
    pairs["right"] = rows["left"][right]
    pairs["value"] = np.sign(rows["value"][left] - rows["value"][right])
    return pairs


def _starts(rows: Rows) -> Indices:
    """Starts of each person's ratings of a prompt in sorted rows, and the end of the last ones."""
    changes = (np.diff(rows["person"]) != 0) | (np.diff(rows["prompt"]) != 0)
    return np.flatnonzero(np.concatenate([[len(rows) > 0], changes, [True]]))


def _pairs(n: int, limit: int, generator: torch.Generator) -> Indices:
    """(2, m) different pairs out of n ratings: all of them, or ``limit`` in which each occurs about equally often.

    The latter joins neighbours on a shuffled circle, then next but one neighbours, and so on.
    """
    if n * (n - 1) // 2 <= limit:
        return _all_pairs(n)
    circle = torch.randperm(n, generator=generator).numpy()
    step = np.arange(limit)
    return np.stack([circle[step % n], circle[(step + 1 + step // n) % n]])


@cache
def _all_pairs(n: int) -> Indices:
    pairs: Any = np.triu_indices(n, 1)
    return np.stack(pairs)
