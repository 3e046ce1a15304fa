"""Rewards taken apart, for trainers that normalise each component alone before they add them (GDPO).

reward = keel_reward("http://127.0.0.1:8765", vector=True)
config = GRPOConfig(multi_objective_aggregation="normalize_then_sum", ...)
trainer = GRPOTrainer(model, reward_funcs=reward.functions(), args=config, ...)
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from keel.client import Client
from keel.errors import InvalidArgument
from keel.replies import Detail
from keel.reward_function import AsyncFunction, Components, LogMetric, RewardFunction, Row, SyncFunction, explained

Vector = list[float]
KEPT = 8
"""Batches whose components wait for the functions that have not read them."""


@dataclass(eq=False, kw_only=True)
class _Vector(RewardFunction[Vector]):
    """A row's components in nats, a person's weights in them: a row sums to the reward."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._names: tuple[str, ...] | None = None
        if self.normalize != "none" or self.bounded:
            raise InvalidArgument("vector takes the plain reward apart; leave out normalize and bounded")

    @property
    def names(self) -> tuple[str, ...]:
        """The K components: the heads of the service's basis, which is pinned with them, and the gate."""
        if self._names is None:
            with explained(), Client(**self._settings()) as client:
                info = client.info()
            self.basis_version = self.basis_version or info["basis_version"]
            self._names = tuple(info["components"])
        return self._names

    def _value(self, reward: float, detail: Detail, components: Components) -> Vector:
        return [components[name] for name in self.names]


class VectorReward(_Vector, SyncFunction[Vector]):
    """The synchronous function: a row is a list of K numbers, None where the gate rejected it."""

    def functions(self) -> list["ComponentReward"]:
        """One reward function for each name. They share the requests: a batch is scored once for all of them."""
        shared = _Shared(self)
        return [ComponentReward(shared, name) for name in self.names]


class ComponentReward:
    """One component of a vector reward as a function of its own, which the trainer logs as keel_{name}."""

    def __init__(self, shared: "_Shared", name: str) -> None:
        self._shared, self._name = shared, name
        self.__name__ = f"{shared.reward.__name__}_{name}"

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], *, log_metric: LogMetric | None = None, **columns: Any
    ) -> list[float | None]:
        """One share of the reward per completion, in nats, None where the gate rejected it."""
        place = self._shared.reward.names.index(self._name)
        vectors = self._shared.vectors(self._name, prompts, completions, log_metric, columns)
        return [None if vector is None else vector[place] for vector in vectors]

    def close(self) -> None:
        """Give the connection of all functions back."""
        self._shared.reward.close()


class _Batch(NamedTuple):
    """Rows, their vectors, and the names of the functions that have not read them."""

    rows: list[Row]
    vectors: list[Vector | None]
    unread: set[str]


class _Shared:
    """What the functions of one reward share. Each reads a batch once: a function that asks again scores it again."""

    def __init__(self, reward: VectorReward) -> None:
        self.reward = reward
        self._lock, self._batches = threading.Lock(), deque[_Batch](maxlen=KEPT)

    def __reduce__(self) -> tuple[type["_Shared"], tuple[VectorReward]]:
        return _Shared, (self.reward,)

    def vectors(
        self,
        name: str,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        log_metric: LogMetric | None,
        columns: Mapping[str, Any],
    ) -> list[Vector | None]:
        """A trainer may call its functions one after another or from threads: only the first scores the batch."""
        rows = self.reward.rows(prompts, completions, columns)
        with self._lock:
            for batch in self._batches:
                if name in batch.unread and batch.rows == rows:
                    batch.unread.remove(name)
                    return batch.vectors
            vectors = self.reward(prompts, completions, log_metric=log_metric, **columns)
            self._batches.append(_Batch(rows, vectors, set(self.reward.names) - {name}))
            return vectors


class AsyncVectorReward(_Vector, AsyncFunction[Vector]):
    """The same, awaited."""
