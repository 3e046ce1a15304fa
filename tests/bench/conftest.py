"""Tiny worlds of people whose tastes are linear in eight features by way of three directions."""

from collections.abc import Callable

import pytest
import torch
from fitted_peers import fit_on_four_splits, outcomes
from torch import Tensor

from bench.compare.method import Method
from bench.compare.world import HeldOut, Judgments, Pairs, World, differences

FEATURES, DIRECTIONS, ITEMS, JUDGMENTS, ASKED, TARGETS = 8, 3, 40, 30, 40, 60
TIES = 0.1

# The matrices are small: threads would wait for one another longer than they compute.
torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20)


@pytest.fixture(scope="session")
def taste_directions() -> Tensor:
    """Orthonormal rows (3, 8): all that tastes are made of."""
    drawn = torch.randn(FEATURES, DIRECTIONS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows: Tensor = torch.linalg.qr(drawn).Q.T
    return rows


@pytest.fixture(scope="session")
def taste_world(taste_directions: Tensor) -> Callable[..., World]:
    """A world in which everybody has ``shared`` times one taste and ``own`` times a taste of their own."""

    def build(shared: float = 0.0, own: float = 3.0, people: int = 60, held_out: int = 20, seed: int = 4) -> World:
        generator = torch.Generator().manual_seed(seed)
        items = torch.randn(ITEMS, FEATURES, generator=generator, dtype=torch.float64)
        common = torch.ones(DIRECTIONS, dtype=torch.float64)

        def taste() -> Tensor:
            return (
                shared * common + own * torch.randn(DIRECTIONS, generator=generator, dtype=torch.float64)
            ) @ taste_directions

        def pairs(n: int) -> Pairs:
            left = torch.randint(ITEMS, (n,), generator=generator)
            return Pairs(left, (left + torch.randint(1, ITEMS, (n,), generator=generator)) % ITEMS)

        def columns(asked: Pairs, weights: Tensor, ties: float) -> Tensor:
            p = (differences(items, asked) @ weights).sigmoid()
            column = torch.where(torch.rand(len(asked), generator=generator, dtype=torch.float64) < p, 0, 2)
            return torch.where(torch.rand(len(asked), generator=generator) < ties, 1, column)

        def person(number: int) -> HeldOut:
            pool, targets, weights = pairs(ASKED), pairs(TARGETS), taste()
            labels = columns(targets, weights, 0.0) == 0
            answers = outcomes(columns(pool, weights, TIES))
            return HeldOut(pool, torch.arange(ASKED), answers, targets, labels, number)

        judged = pairs(people * JUDGMENTS)
        weights = torch.stack([taste() for _ in range(people)]).repeat_interleave(JUDGMENTS, 0)
        z = (differences(items, judged) * weights).sum(1)
        column = torch.where(torch.rand(len(z), generator=generator, dtype=torch.float64) < z.sigmoid(), 0, 2)
        column[torch.rand(len(z), generator=generator) < TIES] = 1
        numbers = torch.arange(people).repeat_interleave(JUDGMENTS)
        train = Judgments(judged, numbers, torch.arange(len(numbers)), outcomes(column), people)
        return World("tastes", seed, items, train, tuple(person(i) for i in range(held_out)), judged, 0)

    return build


@pytest.fixture(scope="session")
def diverse(taste_world: Callable[..., World]) -> World:
    """Everybody has a taste of their own."""
    return taste_world()


@pytest.fixture(scope="session")
def alike(taste_world: Callable[..., World]) -> World:
    """Tastes differ little."""
    return taste_world(shared=2.0, own=0.7)


@pytest.fixture(scope="session")
def fitted_to(diverse: World, alike: World) -> Callable[[str, World], Method]:
    """Every method fitted at most once per world."""
    kept: dict[tuple[str, World], Method] = {}

    def fit(name: str, world: World) -> Method:
        if (name, world) not in kept:
            kept[name, world] = fit_on_four_splits(name, world)
        return kept[name, world]

    return fit
