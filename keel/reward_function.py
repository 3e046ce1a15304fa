"""What reward functions share: options, requests for batches of rows, pins, and what an error means for a run.

A subclass says what a row's value is. Nothing of a trainer is imported.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Generic, Literal, TypeVar, cast

from keel import messages, wire
from keel.async_client import AsyncClient
from keel.calls import Text
from keel.client import Client
from keel.errors import InvalidArgument, Problem
from keel.replies import Detail, MaskedScores, Scores

T = TypeVar("T")
Components = Mapping[str, float]
LogMetric = Callable[[str, float], None]
Judged = tuple[float, Detail, Components]
"""A row's reward, its detail and its components."""
UNSENT = {"_client", "_loop"}
ENDS = {
    401: "the run ends: pass the service's key to keel_reward(key=...)",
    403: "the run ends: the key lacks the scope score or is bound to another person; make another key for this run",
    404: "the run ends: somebody in this batch is unknown or was erased; take their rows out and start again",
    409: "the run ends: the service serves another basis, population or guard than the run began with; serve the "
    "earlier one, or start a new run",
    410: "the run ends: the version it began with was retired because somebody was erased; start a new run",
}


@dataclass(frozen=True)
class Row:
    """One completion; ``user_id`` None is the aggregate."""

    user_id: str | None
    prompt: Text
    completion: Text


@dataclass(eq=False, kw_only=True)
class RewardFunction(ABC, Generic[T]):
    """Options of a reward function; T is what it gives for a row.

    base_url, key:      where the service is, and the key it may ask for
    user_column:        the dataset column that names the person of each row; None for the aggregate's reward
    mix:                weight of the aggregate in the reward, 0 to 1
    normalize, bounded: as in ``Client.score``; group is by the prompts of one call
    view:               what is read of a completion that is a list of messages, its answer or its whole trace
    gated:              skip a row that the gate rejects (None), or give it the floor reward
    on_missing:         where a source of rewards cannot judge a row, fail and try again, or mask the row (None)
    basis_version, profile_versions: what to score with; what is not given is pinned at first use, so that a profile
                        that changes meanwhile moves no reward. Several processes pin one by one: give both there
    name:               what the trainer logs it as
    batch_size:         completions per request; completions of one prompt that stand together are never torn apart
    timeout, attempts, time_limit: seconds for one attempt; attempts, and seconds, for a request with all retries

    Raises InvalidArgument for options or columns that contradict each other.
    """

    base_url: str = wire.DEFAULT_URL
    key: str | None = field(default=None, repr=False)
    user_column: str | None = "user_id"
    mix: float | None = None
    normalize: Literal["none", "group", "reference"] = "none"
    bounded: bool = False
    view: Literal["answer", "trace"] = "answer"
    gated: Literal["skip", "floor"] = "skip"
    on_missing: Literal["fail", "mask"] = "fail"
    basis_version: str | None = None
    profile_versions: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    batch_size: int = 64
    timeout: float = 60.0
    attempts: int = 60
    time_limit: float = 300.0

    def __post_init__(self) -> None:
        self.profile_versions = dict(self.profile_versions)
        self.__name__ = self.name or "keel"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in UNSENT}

    @abstractmethod
    def _value(self, reward: float, detail: Detail, components: Components) -> T:
        """What a row is worth; ``components`` are its shares of the reward in nats."""

    def _settings(self) -> dict[str, Any]:
        retry = wire.Retry(self.attempts, self.time_limit)
        return {"url": self.base_url, "key": self.key, "timeout": self.timeout, "retry": retry}

    def rows(self, prompts: Sequence[Any], completions: Sequence[Any], columns: Mapping[str, Any]) -> list[Row]:
        """The rows of a call of the trainer."""
        people = self._people(len(completions), columns)
        return list(map(Row, people, map(messages.plain, prompts), map(messages.plain, completions)))

    def _batches(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        batch: list[Row] = []
        for _, group in groupby(rows, key=lambda row: (row.user_id, row.prompt)):
            together = list(group)
            if batch and len(batch) + len(together) > self.batch_size:
                yield batch
                batch = []
            batch += together
        if batch:
            yield batch

    def _people(self, n: int, columns: Mapping[str, Any]) -> Sequence[str | None]:
        if self.user_column is None:
            return [None] * n
        if self.user_column not in columns:
            raise InvalidArgument(f"the dataset has no column {self.user_column!r}; name the person's with user_column")
        people: Sequence[Any] = columns[self.user_column]
        nameless = [place for place, name in enumerate(people) if not isinstance(name, str)]
        if nameless:
            raise InvalidArgument(
                f"{self.user_column!r} of row {nameless[0]} is {people[nameless[0]]!r}, not a person's id"
            )
        return people

    def _request(self, batch: Sequence[Row]) -> dict[str, Any]:
        people = [row.user_id for row in batch]
        pins = {name: version for name, version in self.profile_versions.items() if name in people}
        return {
            "prompts": [row.prompt for row in batch],
            "completions": [row.completion for row in batch],
            "user_ids": None if self.user_column is None else people,
            "profile_versions": pins or None,
            "basis_version": self.basis_version,
            "view": self.view,
            "mix": self.mix,
            "normalize": self.normalize,
            "bounded": self.bounded,
            "detail": True,
            "components": True,
        }

    def _pins(self, scores: Scores | MaskedScores) -> bool:
        """Pin what was scored with; False when another thread has pinned something else meanwhile."""
        pinned = cast(dict[str, str], self.profile_versions)
        self.basis_version = self.basis_version or scores.basis_version
        kept = [pinned.setdefault(name, version) == version for name, version in scores.profile_versions.items()]
        return all(kept) and self.basis_version == scores.basis_version

    def _read(self, replies: Sequence[Scores | MaskedScores], log_metric: LogMetric | None) -> list[T | None]:
        rows = [row for scores in replies for row in _rows(scores)]
        if log_metric is not None:
            self._log(rows, log_metric)
        return [None if row is None else self._valued(row) for row in rows]

    def _valued(self, row: Judged) -> T | None:
        return self._value(*row) if row[1].gate.passed or self.gated == "floor" else None

    def _log(self, rows: Sequence[Judged | None], log_metric: LogMetric) -> None:
        judged = [row[1] for row in rows if row is not None]
        passed = [detail for detail in judged if detail.gate.passed]
        if self.on_missing == "mask":
            log_metric(f"{self.__name__}/missing", 1 - len(judged) / len(rows))
        if judged:
            log_metric(f"{self.__name__}/gated", 1 - len(passed) / len(judged))
        if passed:
            log_metric(f"{self.__name__}/aggregate", _mean([detail.aggregate or 0.0 for detail in passed]))
            log_metric(f"{self.__name__}/uncertainty", _mean([detail.std for detail in passed]))


class SyncFunction(RewardFunction[T]):
    """A synchronous reward function; ``close`` it, or let the process end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._client = Client(**self._settings())

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._client = Client(**self._settings())

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], *, log_metric: LogMetric | None = None, **columns: Any
    ) -> list[T | None]:
        """One value per completion, None where the gate rejected it; columns other than the person's are ignored."""
        with explained():
            replies = [self._scores(batch) for batch in self._batches(self.rows(prompts, completions, columns))]
        return self._read(replies, log_metric)

    def _scores(self, batch: Sequence[Row]) -> Scores | MaskedScores:
        score = self._client.score_masked if self.on_missing == "mask" else self._client.score
        while True:
            scores = score(**self._request(batch))
            if self._pins(scores):
                return scores

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()


class AsyncFunction(RewardFunction[T]):
    """An asynchronous reward function: the same, awaited; requests of one call go out together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._loop = None

    async def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], *, log_metric: LogMetric | None = None, **columns: Any
    ) -> list[T | None]:
        """One value per completion, None where the gate rejected it; columns other than the person's are ignored."""
        if self._loop is not asyncio.get_running_loop():
            # A connection belongs to the event loop that opened it, and each trainer has one of its own.
            self._client, self._loop = AsyncClient(**self._settings()), asyncio.get_running_loop()
        with explained():
            batches = self._batches(self.rows(prompts, completions, columns))
            replies = await asyncio.gather(*(self._scores(batch) for batch in batches))
        return self._read(replies, log_metric)

    async def _scores(self, batch: Sequence[Row]) -> Scores | MaskedScores:
        score = self._client.score_masked if self.on_missing == "mask" else self._client.score
        while True:
            scores = await score(**self._request(batch))
            if self._pins(scores):
                return scores

    async def close(self) -> None:
        """Give the connection back; on the loop that the function was called on."""
        if self._loop is not None:
            await self._client.close()
            self._loop = None


@contextmanager
def explained() -> Iterator[None]:
    """Say what a problem means for the run."""
    try:
        yield
    except Problem as problem:
        if problem.status in ENDS:
            problem.add_note(ENDS[problem.status])
        raise


def _rows(scores: Scores | MaskedScores) -> Iterator[Judged | None]:
    """The rows, None for those without a reward."""
    details, components = scores.details or (), scores.components or {}
    for row, reward in enumerate(scores.rewards):
        detail = None if reward is None else details[row]
        if reward is None or detail is None:
            yield None
        else:
            yield reward, detail, {name: shares[row] or 0.0 for name, shares in components.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
