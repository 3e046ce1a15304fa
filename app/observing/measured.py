"""What is measured of the running request: its id, and the time that each of its stages took.

    wait     for the encoder's turn              encode   its texts, once their turn has come
    columns  of the text, other than vectors     gate     reading of the texts by the gate and by rubrics
    profile  of the people, fitted or found      reward   φ times coefficients, and ranking
    choose   the next question                   store    reading and writing, with the wait for its thread

Set once where a request enters (``app/http/middleware.py``); what runs outside of a request measures nothing. Stages
may overlap and lie in each other: columns are read while texts are encoded, and a profile is read from the store.
Times are of ``time.perf_counter_ns``.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

StageName = Literal["wait", "encode", "columns", "gate", "profile", "reward", "choose", "store"]


class Stage(NamedTuple):
    """One stage, from ``start`` to ``end``."""

    name: StageName
    start: int
    end: int


@dataclass(eq=False)
class Measured:
    """A request, begun at ``start``; its stages are listed as they end."""

    request_id: str
    start: int = field(default_factory=time.perf_counter_ns)
    stages: list[Stage] = field(default_factory=list)

    @property
    def seconds(self) -> dict[StageName, float]:
        """The sum of each stage's times."""
        sums: dict[StageName, float] = defaultdict(float)
        for stage in self.stages:
            sums[stage.name] += (stage.end - stage.start) / 1e9
        return dict(sums)

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return (time.perf_counter_ns() - self.start) / 1e9


REQUEST: ContextVar[Measured | None] = ContextVar("request", default=None)


@contextmanager
def stage(name: StageName) -> Iterator[None]:
    """Measures its block as a stage of the running request."""
    start = time.perf_counter_ns()
    try:
        yield
    finally:
        took(name, start, time.perf_counter_ns())


def took(name: StageName, start: int, end: int) -> None:
    """Note a stage of the running request."""
    request = REQUEST.get()
    if request is not None:
        request.stages.append(Stage(name, start, end))
