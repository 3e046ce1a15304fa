"""The belief of most peers: one weight per feature and person; their questions are random."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.compare.peers.answers import Answers
from bench.compare.peers.tuning import Reader
from elicitation.crowd import Crowd

EDGE = 1e-9
"""No probability comes closer to 0 or 1."""


@dataclass(frozen=True, eq=False)
class LinearBelief:
    """P(left) = σ(wᵀv) with ``weights`` (P, F); random questions."""

    weights: Tensor

    def choose(self, person: int, pool: Tensor, allowed: Tensor, generator: torch.Generator) -> int:
        """Any allowed row."""
        return random_row(allowed, generator)

    def prefer(self, person: int, targets: Tensor) -> Tensor:
        """P(left) (T,) for differences ``targets`` (T, F)."""
        return inside((targets @ self.weights[person]).sigmoid())


@dataclass(frozen=True, eq=False)
class LinearMethod:
    """A fitted peer that turns answers into weights by ``read``."""

    read: Reader

    def believe(self, observed: Crowd) -> LinearBelief:
        """Everybody's weights after the answers ``observed``."""
        return LinearBelief(self.read(Answers.of_crowd(observed)))


def random_row(allowed: Tensor, generator: torch.Generator) -> int:
    """One of the rows ``allowed`` (n,) bool, all equally likely."""
    rows = allowed.nonzero().squeeze(-1)
    return int(rows[torch.randint(len(rows), (), generator=generator)])


def inside(p: Tensor) -> Tensor:
    """Probabilities kept strictly between 0 and 1."""
    return p.clamp(EDGE, 1 - EDGE)
