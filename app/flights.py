"""Work that is done once however many ask for it at a time: whoever comes while it is under way waits for the same.

Work is never cancelled in its middle, since what a service has begun is paid for. It asks ``wanted`` before each step
that costs something, and ends there when nobody waits any longer.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Flights(Generic[K, T]):
    """The work under way, by key."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Task[T]] = {}
        self._waiting: Counter[K] = Counter()

    def wanted(self, key: K) -> bool:
        """Whether somebody waits for it."""
        return self._waiting[key] > 0

    async def join(self, key: K, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work of ``key`` returns or raises; ``work`` is begun only where none is under way."""
        task = self._under_way.get(key)
        if task is None or task.done():
            task = self._under_way[key] = asyncio.create_task(work())
            task.add_done_callback(partial(self._land, key))
        self._waiting[key] += 1
        try:
            await asyncio.wait([task])
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
        return task.result()

    def _land(self, key: K, task: asyncio.Task[T]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            # Nobody may wait for it any more; the event loop would log its exception as lost.
            task.exception()
