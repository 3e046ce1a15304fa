"""What every method does: learn from the training people, read held-out people's answers, choose questions, predict.

Most methods know items by their features: they are given differences, left minus right. A PairMethod is given the
items themselves, by number, and knows them by what else a world says of them, as their texts. ``over_pairs`` makes
every method one of these, so that all play alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from bench.compare.world import Judgments, Pairs, World, crowd
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


class PairBelief(Protocol):
    """A belief about pairs of items."""

    def choose(self, person: int, pool: Pairs, allowed: Tensor, generator: torch.Generator) -> int:
        """The row of ``pool`` (n) to ask next, among those ``allowed`` (n,) bool."""
        ...

    def prefer(self, person: int, targets: Pairs) -> Tensor:
        """P(left is preferred) (T,), strictly between 0 and 1."""
        ...


@runtime_checkable
class PairMethod(Protocol):
    """A fitted method that knows items by number."""

    def believe_pairs(self, observed: Judgments) -> PairBelief:
        """``observed``: all held-out people's answers so far, each person's in the order they were given."""
        ...


class Recipe(Protocol):
    """How a method is learned from the training people of a world; beside them it may look at the items alone."""

    def __call__(self, world: World) -> Method | PairMethod: ...


@dataclass(frozen=True, eq=False)
class FeatureBelief:
    """``belief`` about differences of features as one about pairs; ``pools`` are computed once for each pool."""

    belief: Belief
    world: World
    pools: Callable[[Pairs], Tensor]

    def choose(self, person: int, pool: Pairs, allowed: Tensor, generator: torch.Generator) -> int:
        return self.belief.choose(person, self.pools(pool), allowed, generator)

    def prefer(self, person: int, targets: Pairs) -> Tensor:
        return self.belief.prefer(person, self.world.differences(targets))


@dataclass(frozen=True, eq=False)
class FeatureMethod:
    """``method`` on differences of a world's features as one on pairs."""

    method: Method
    world: World
    pools: Callable[[Pairs], Tensor]

    def believe_pairs(self, observed: Judgments) -> FeatureBelief:
        return FeatureBelief(self.method.believe(crowd(self.world.features, observed)), self.world, self.pools)


def over_pairs(method: Method | PairMethod, world: World) -> PairMethod:
    """The method as one that is given pairs of the world's items."""
    return method if isinstance(method, PairMethod) else FeatureMethod(method, world, cache(world.differences))
