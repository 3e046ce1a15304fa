"""Small worlds whose people have linear tastes, and methods that are easily understood: in place of METHODS."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.compare.method import Belief, Recipe
from bench.compare.world import HeldOut, Judgments, Pairs, World
from elicitation.choice import Outcomes
from elicitation.crowd import Crowd

ITEMS, FEATURES, POOL, TARGETS = 60, 4, 24, 30


def world(name: str = "small", seed: int = 0, people: int = 6, pool: int = POOL, prompts: int = POOL) -> World:
    """``people`` held out, numbered from 100 on; all like the first feature alike and others as they please."""
    generator = torch.Generator().manual_seed(7 + seed)
    features = torch.randn(ITEMS, FEATURES, generator=generator, dtype=torch.float64)
    tastes = torch.randn(2 * people, FEATURES, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    tastes[:, 0] = 1.0
    drawn = [_pairs(pool + TARGETS, generator) for _ in tastes]
    answers = [outcomes(features, pairs, taste) for pairs, taste in zip(drawn, tastes, strict=True)]
    held = []
    for person in range(people):
        rows, rest = torch.arange(pool), torch.arange(pool, pool + TARGETS)
        own, given = drawn[person], answers[person]
        said = Outcomes(given.column[rows], given.towards[rows], given.strength[rows])
        held.append(HeldOut(own[rows], rows % prompts, said, own[rest], given.column[rest] == 0, 100 + person))
    return World(name, seed, features, _training(drawn[people:], answers[people:]), tuple(held), drawn[0], None)


def outcomes(features: Tensor, pairs: Pairs, taste: Tensor) -> Outcomes:
    """What somebody without doubts answers."""
    prefers = (features[pairs.left] - features[pairs.right]) @ taste > 0
    towards = torch.where(prefers, 1.0, -1.0).to(torch.float64)
    return Outcomes(torch.where(prefers, 0, 2), towards, torch.zeros_like(towards))


def _pairs(count: int, generator: torch.Generator) -> Pairs:
    items = torch.stack([torch.randperm(ITEMS, generator=generator)[:2] for _ in range(count)])
    return Pairs(items[:, 0], items[:, 1])


def _training(pairs: list[Pairs], answers: list[Outcomes]) -> Judgments:
    together = Pairs(torch.cat([p.left for p in pairs]), torch.cat([p.right for p in pairs]))
    owners = torch.arange(len(pairs)).repeat_interleave(torch.tensor([len(p) for p in pairs]))
    said = (torch.cat([getattr(a, part) for a in answers]) for part in ("column", "towards", "strength"))
    return Judgments(together, owners, torch.zeros_like(owners), Outcomes(*said), len(pairs))


@dataclass(frozen=True)
class Sums:
    """Believes in the sum of the chosen differences; asks at random or where it is least sure."""

    start: Tensor
    unsure: bool
    gain: float

    def believe(self, observed: Crowd) -> Belief:
        read = observed.outcomes.towards[:, None] * observed.differences
        moved = torch.zeros(observed.size, observed.k, dtype=torch.float64).index_add_(0, observed.people, read)
        return Weights(self.start, self.gain * moved, self.unsure)


@dataclass(frozen=True)
class Weights:
    """A belief that is a weight vector a person, (P, F) apart from everybody's."""

    start: Tensor
    moved: Tensor
    unsure: bool

    def choose(self, person: int, pool: Tensor, allowed: Tensor, generator: torch.Generator) -> int:
        rows = allowed.nonzero()[:, 0]
        if self.unsure:
            return int(rows[(pool[rows] @ (self.start + self.moved[person])).abs().argmin()])
        return int(rows[torch.randint(len(rows), (1,), generator=generator)])

    def prefer(self, person: int, targets: Tensor) -> Tensor:
        return torch.sigmoid(targets @ (self.start + self.moved[person]))

    def personal(self, person: int, targets: Tensor) -> Tensor:
        return 3 * targets @ self.moved[person]


def everybody(world: World) -> Tensor:
    start = torch.zeros(world.features.shape[1], dtype=torch.float64)
    start[0] = 1.0
    return start


def aggregate(world: World) -> Sums:
    return Sums(everybody(world), unsure=False, gain=0.0)


def pref(world: World) -> Sums:
    return Sums(0 * everybody(world), unsure=False, gain=0.2)


def keel(world: World) -> Sums:
    return Sums(everybody(world), unsure=True, gain=0.3)


def keel_random(world: World) -> Sums:
    return Sums(everybody(world), unsure=False, gain=0.3)


METHODS: dict[str, Recipe] = {
    "aggregate": aggregate,
    "pref": pref,
    "gp-rbf-bald": pref,
    "keel-random": keel_random,
    "keel": keel,
}
SLOW = frozenset({"gp-rbf-bald"})
TOGETHER = (frozenset({"keel", "keel-random"}), frozenset({"aggregate", "pref", "gp-rbf-bald"}))
