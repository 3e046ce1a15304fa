"""``keel loop``: the closed loop on an artifact's own reference set and population, in as many threads as asked.

The trade-off curve is drawn with other people than the table, so that the budget it picks is judged on people it was
not picked on.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from app.audit.loop import QUESTIONS, world_of
from app.profiles.basis import open_artifact
from safeguards.loop.grid import CURVE, DRAWS, JUDGED_DRIFT, Cell, Point, best, cells, compare, point, sane
from safeguards.loop.measure import Row
from safeguards.loop.world import Crowd

T = TypeVar("T")


@dataclass(frozen=True)
class Loop:
    """The whole result; ``curve`` and ``chosen`` are of assimilating people at drift 0.05."""

    people: int
    seeds: int
    rounds: int
    candidates: int
    seed: int
    versions: dict[str, str]
    budget: dict[str, float]
    band: str
    sane: bool
    rows: tuple[Row, ...]
    curve: tuple[Point, ...]
    chosen: tuple[Point, ...]
    shipped: tuple[Point, ...]
    seconds: float
    cpu_seconds: float


def loop(
    folder: Path | None, people: int, seeds: int, rounds: int, seed: int, jobs: int, progress: Callable[[int], object]
) -> Loop:
    """Run everything; ``progress`` gets the number of parts first and then 0 after each of them."""
    started, worked = time.monotonic(), time.process_time()
    artifact = open_artifact(folder)
    world = world_of(artifact)
    crowd, others = (Crowd.drawn(world, seeds, people, rounds, QUESTIONS, s) for s in (seed, seed + 1))
    judged = [Cell("assimilating", JUDGED_DRIFT, draws) for draws in DRAWS]
    grid = cells(world)
    epsilons = sorted({*CURVE, world.policy.budget.divergence})
    progress(len(grid) + len(judged) * (len(epsilons) + 1))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(jobs) as pool:

            def each(parts: Sequence[Callable[[], T]]) -> list[T]:
                return [_told(done, progress) for done in pool.map(lambda part: part(), parts)]

            measured = each([partial(compare, world, crowd, cell) for cell in grid])
            curve = each([partial(point, world, others, cell, epsilon) for epsilon in epsilons for cell in judged])
            chosen = each([partial(point, world, crowd, cell, best(curve)) for cell in judged])
    finally:
        torch.set_num_threads(threads)
    rows = tuple(row for cell in measured for row in cell)
    return Loop(
        people=people,
        seeds=seeds,
        rounds=rounds,
        candidates=world.candidates,
        seed=seed,
        versions={"basis": artifact.basis.version, "population": artifact.population_version},
        budget=dict(artifact.budget),
        band="active" if world.policy.banded else "inactive",
        sane=sane(rows),
        rows=rows,
        curve=tuple(curve),
        chosen=tuple(chosen),
        shipped=tuple(one for one in curve if one.divergence == world.policy.budget.divergence),
        seconds=round(time.monotonic() - started, 1),
        cpu_seconds=round(time.process_time() - worked, 1),
    )


def _told(done: T, progress: Callable[[int], object]) -> T:
    progress(0)
    return done
