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
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal, NamedTuple

LISTED = 128
"""Stages of one request that are kept apart: an audit reads the store for every person."""
StageName = Literal["wait", "encode", "columns", "gate", "profile", "reward", "choose", "store"]


class Stage(NamedTuple):
    """One stage, from ``start`` to ``end``."""

    name: StageName
    start: int
    end: int


@dataclass(eq=False)
class Measured:
    """A request, begun at ``start``: the ``seconds`` of each stage in all, and the first LISTED ``stages`` to end."""

    request_id: str
    start: int = field(default_factory=time.perf_counter_ns)
    seconds: dict[StageName, float] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return (time.perf_counter_ns() - self.start) / 1e9

    def add(self, stage: Stage) -> None:
        """Note a stage that ended; threads may do so at once."""
        with self._lock:
            self.seconds[stage.name] = self.seconds.get(stage.name, 0.0) + (stage.end - stage.start) / 1e9
            if len(self.stages) < LISTED:
                self.stages.append(stage)


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
        request.add(Stage(name, start, end))
