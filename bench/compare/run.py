"""Worlds times methods on all cores; the trajectories do not depend on how many there are.

A task is a world with methods that share what they learn from its training people, so that it is learned once; slow
methods play with few of its held-out people. Processes are spawned, since forking one in which libraries have started
threads may hang. Tasks travel to them as bytes: PyTorch would send tensors through /dev/shm, which containers often
keep at 64 MB.
"""

import importlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any, cast

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as Row
from rich.text import Text

from bench.compare.method import Method, PairMethod, Recipe
from bench.compare.report import KEEL
from bench.compare.simulate import AS_RECORDED, Distortion, Trajectory, play, seeded
from bench.compare.world import World

DISTORTIONS = (Distortion(turned=True), *(Distortion(flipped=share) for share in (0.1, 0.2, 0.4)))
"""What is done to the answers of KEEL, in the seeds of slow methods, beside playing them as recorded."""
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Subsample:
    """What slow methods play: at least so many ``people`` of a suite and ``each`` of its worlds, in the first seeds.

    Of a seed with several folds they play the first.
    """

    people: int
    each: int
    seeds: int


@dataclass(frozen=True)
class Play:
    """A method's trajectory with what is done to the answers, of so many ``people``, or of all (None)."""

    method: str
    distortion: Distortion = AS_RECORDED
    people: int | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """Courses through one world, for one process."""

    world: World
    plays: tuple[Play, ...]


def tasks(
    worlds: Sequence[World],
    methods: Sequence[str],
    slow: frozenset[str],
    sample: Subsample,
    together: Sequence[frozenset[str]],
) -> list[Task]:
    """One per world and group of ``together`` that plays it; the first seeds, where slow methods play, come first."""
    names = {world.name for world in worlds}
    seeds = sorted({world.seed for world in worlds})[: sample.seeds]
    people = max(sample.each, -(-sample.people // len(names)))
    fast = [Play(method) for method in methods if method not in slow]
    disturbed = [Play(KEEL, distortion) for distortion in DISTORTIONS if KEEL in methods]
    slowly = [Play(method, people=people) for method in methods if method in slow]
    plays = [fast + disturbed + slowly if world.seed in seeds and world.fold == 0 else fast for world in worlds]
    grouped = [
        (world, tuple(play for play in some if play.method in group))
        for world, some in zip(worlds, plays, strict=True)
        for group in together
    ]
    return [Task(world, some) for world, some in grouped if some]


def some_people(world: World, count: int) -> World:
    """The world with ``count`` of its held-out people, drawn by its seed; what is learned from stays whole."""
    order = torch.randperm(len(world.people), generator=seeded("people", world.name, world.seed))
    kept = sorted(order[:count].tolist())
    return replace(world, people=tuple(world.people[number] for number in kept))


def run(
    todo: Sequence[Task], methods_module: str, workers: int | None = None, more: Mapping[str, Recipe] | None = None
) -> list[Trajectory]:
    """All trajectories, in the order of the tasks; ``methods_module`` has METHODS, ``more`` are others beside."""
    context = get_context("spawn")
    done = context.Value("i", 0)
    workers = min(workers or os.cpu_count() or 1, len(todo))
    given = (methods_module, more or {}, done)
    total = sum(len(task.plays) for task in todo)
    with (
        ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=given) as pool,
        progress() as bar,
    ):
        row = bar.add_task("trajectories", total=total)
        futures = [pool.submit(_played, sent(task)) for task in todo]
        for _ in _until_done(futures):
            bar.update(row, completed=done.value)
        bar.update(row, completed=total)
    return [trajectory for future in futures for trajectory in future.result()]


class _Rate(ProgressColumn):
    """Trajectories a minute."""

    def render(self, task: Row) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{60 * speed:.1f}/min" if speed else "–/min")


def progress() -> Progress:
    """On standard error, with rate and time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), speed_estimate_period=600)


def _until_done(futures: Sequence[Future[Any]]) -> Iterator[None]:
    """Once every POLL_SECONDS; the first failure ends it, with what was not begun called off."""
    waiting = set(futures)
    while waiting:
        finished, waiting = wait(waiting, POLL_SECONDS)
        if any(future.exception() for future in finished):
            for future in waiting:
                future.cancel()
            next(future for future in finished if future.exception()).result()
        yield


_METHODS: Mapping[str, Recipe] = {}
_done: Any = None


def _begin(methods_module: str, more: Mapping[str, Recipe], done: Any) -> None:
    """Of every process: one thread, so that sums are taken in the same order everywhere."""
    global _METHODS, _done
    torch.set_num_threads(1)
    _METHODS, _done = {**importlib.import_module(methods_module).METHODS, **more}, done


def sent(task: Task) -> bytes:
    """A task for another process; one object in two places is sent once."""
    stream = io.BytesIO()
    torch.save(task, stream)
    return stream.getvalue()


def arrived(parcel: bytes) -> Task:
    """The task that ``sent`` was given; only bytes of this program's own parent process come here."""
    return cast(Task, torch.load(io.BytesIO(parcel), weights_only=False))


def _played(parcel: bytes) -> list[Trajectory]:
    found = []
    for trajectory in trajectories(arrived(parcel), _METHODS):
        found.append(trajectory)
        with _done.get_lock():
            _done.value += 1
    return found


def trajectories(task: Task, methods: Mapping[str, Recipe]) -> Iterator[Trajectory]:
    """The task's trajectories in its order; a recipe that several names share is learned once."""
    fitted: dict[Recipe, Method | PairMethod] = {}
    played: dict[tuple[Recipe, Distortion, int | None], Trajectory] = {}
    for each in task.plays:
        recipe = methods[each.method]
        if recipe not in fitted:
            fitted[recipe] = recipe(task.world)
        turn = (recipe, each.distortion, each.people)
        if turn not in played:
            world = task.world if each.people is None else some_people(task.world, each.people)
            played[turn] = play(world, fitted[recipe], each.method, distortion=each.distortion)
        yield replace(played[turn], method=each.method)
