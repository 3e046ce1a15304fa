"""What every method does: learn from the training people, read held-out people's answers, choose questions, predict."""

from typing import Protocol

import torch
from torch import Tensor

from bench.compare.world import World
from elicitation.crowd import Crowd


class Belief(Protocol):
    """What a method makes of the answers so far, for all held-out people of a world."""

    def choose(self, person: int, pool: Tensor, allowed: Tensor, generator: torch.Generator) -> int:
        """The row of ``pool`` (n, F) differences to ask next, among those ``allowed`` (n,) bool."""
        ...

    def prefer(self, person: int, targets: Tensor) -> Tensor:
        """P(left is preferred) (T,), strictly between 0 and 1, for differences ``targets`` (T, F)."""
        ...


class Method(Protocol):
    """A fitted method."""

    def believe(self, observed: Crowd) -> Belief:
        """``observed``: all held-out people's answers so far, as differences (N, F) of features, ties included."""
        ...


class Recipe(Protocol):
    """How a method is learned from the training people of a world; it may look at nothing else of the world."""

    def __call__(self, world: World) -> Method: ...
