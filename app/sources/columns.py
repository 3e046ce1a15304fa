"""Columns that were read before, kept in memory, and each pair read once however many requests ask for it at a time.

``CachedSource`` wraps a source and is one itself. Wrap what is slow: a judge, a service, or the text features, which
cost milliseconds a pair. A source that is quick once its own cache answers, such as the encoder's over its vectors,
gains nothing. Rows are found by (source version, pair digest), so the engines of several bases share one cache. A row
that failed is not kept: the next request tries again.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from app.cache import LruCache
from app.caller import CALLER
from app.observing.measured import stage
from reward_bases.sources.source import Columns, Pair, Source, Wrapped

RowKey = tuple[str, str, str]
"""The caller's name in the caches, version of the source, digest of the pair."""
Rows = Mapping[str, bytes | str]
"""For the digest of each pair its row as bytes, or the reason why there is none."""


class ColumnCache:
    """At most ``size`` rows, and the readings under way. Belongs to the event loop that first uses it.

    A row is kept as bytes: a tensor would take twice the memory.
    """

    def __init__(self, size: int) -> None:
        self.rows: LruCache[RowKey, bytes] = LruCache(size)
        self._under_way: dict[RowKey, asyncio.Task[Rows]] = {}
        self._wanted: Counter[asyncio.Task[Rows] | None] = Counter()

    async def read(self, source: Source, pairs: Mapping[str, Pair]) -> Rows:
        """The rows of ``pairs``, a map digest → pair; raises what the source raises."""
        version, owner = source.version, CALLER.get().cache
        known = {digest: self.rows.get((owner, version, digest)) for digest in pairs}
        found: dict[str, bytes | str] = {digest: row for digest, row in known.items() if row is not None}
        missing = {digest: pair for digest, pair in pairs.items() if digest not in found}
        if not missing:
            return found
        tasks = self._tasks(source, owner, version, missing)
        readings = set(tasks.values())
        self._wanted.update(readings)
        try:
            # Readings are shared between requests: wait, unlike gather, leaves them alone when one is cancelled.
            await asyncio.wait(readings)
        finally:
            self._let_go(readings)
        return found | {digest: task.result()[digest] for digest, task in tasks.items()}

    def _tasks(
        self, source: Source, owner: str, version: str, pairs: Mapping[str, Pair]
    ) -> dict[str, asyncio.Task[Rows]]:
        """For each pair the reading that gives its row: one under way, else a new one for all the others."""
        keys = {digest: (owner, version, digest) for digest in pairs}
        new = {digest: pairs[digest] for digest, key in keys.items() if self._under_way.get(key) not in self._wanted}
        if new:
            task = asyncio.create_task(self._read(source, owner, version, new))
            task.add_done_callback(_looked_at)
            self._under_way |= {keys[digest]: task for digest in new}
        return {digest: self._under_way[key] for digest, key in keys.items()}

    async def _read(self, source: Source, owner: str, version: str, pairs: Mapping[str, Pair]) -> Rows:
        # The reading is shared: it goes on when the client that came first goes away, unless it was the only one.
        CALLER.set(replace(CALLER.get(), gone=None))
        try:
            columns = await source.columns(list(pairs.values()))
            rows = {digest: _row(columns, place) for place, digest in enumerate(pairs)}
            for digest, row in rows.items():
                if isinstance(row, bytes):
                    self.rows.put((owner, version, digest), row)
            return rows
        finally:
            for key in [(owner, version, digest) for digest in pairs]:
                if self._under_way.get(key) is asyncio.current_task():
                    del self._under_way[key]

    def _let_go(self, readings: Collection[asyncio.Task[Rows]]) -> None:
        """One request less waits for these readings; one that nobody waits for ends, and nobody joins it."""
        self._wanted.subtract(readings)
        for reading in [one for one in readings if not self._wanted[one]]:
            del self._wanted[reading]
            reading.cancel()


class CachedSource(Wrapped):
    """The columns of ``source`` through a cache."""

    def __init__(self, source: Source, cache: ColumnCache) -> None:
        super().__init__(source)
        self._cache = cache

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, f) float64; equal pairs are read once."""
        digests = [pair.digest for pair in pairs]
        with stage("columns"):
            rows = await self._cache.read(self._source, dict(zip(digests, pairs, strict=True)))
        failed = {place: row for place, digest in enumerate(digests) if isinstance(row := rows[digest], str)}
        return Columns(self._values([rows[digest] for digest in digests]), failed)

    def _values(self, rows: Sequence[bytes | str]) -> Tensor:
        nothing = bytes(8 * len(self.names))
        content = bytearray(b"".join(row if isinstance(row, bytes) else nothing for row in rows))
        values = torch.frombuffer(content, dtype=torch.float64) if content else torch.zeros(0, dtype=torch.float64)
        return values.reshape(len(rows), len(self.names))


def _row(columns: Columns, place: int) -> bytes | str:
    reason = columns.failed.get(place)
    if reason is not None:
        return reason
    row: bytes = columns.values[place].numpy().tobytes()
    return row


def _looked_at(task: asyncio.Task[Rows]) -> None:
    """Take note of an exception that nobody waits for any more; the event loop would log it as lost."""
    if not task.cancelled():
        task.exception()
