"""Columns that were read before, kept in memory, and each pair read once however many requests ask for it at a time.

``CachedSource`` wraps a source and is one itself. Wrap what is slow: a judge, a service, or the text features, which
cost milliseconds a pair. A source that is quick once its own cache answers, such as the encoder's over its vectors,
gains nothing. Rows are found by (source version, pair digest), so the engines of several bases share one cache. A row
that failed is not kept: the next request tries again.
"""

import asyncio
from collections.abc import Mapping, Sequence
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

    async def read(self, source: Source, pairs: Mapping[str, Pair]) -> Rows:
        """The rows of ``pairs``, a map digest → pair; raises what the source raises."""
        version, owner = source.version, CALLER.get().cache
        known = {digest: self.rows.get((owner, version, digest)) for digest in pairs}
        found: dict[str, bytes | str] = {digest: row for digest, row in known.items() if row is not None}
        missing = {digest: pair for digest, pair in pairs.items() if digest not in found}
        if not missing:
            return found
        tasks = self._tasks(source, owner, version, missing)
        # Readings are shared between requests: wait, unlike gather, leaves them alone when one request is cancelled.
        await asyncio.wait(set(tasks.values()))
        return found | {digest: task.result()[digest] for digest, task in tasks.items()}

    def _tasks(
        self, source: Source, owner: str, version: str, pairs: Mapping[str, Pair]
    ) -> dict[str, asyncio.Task[Rows]]:
        """For each pair the reading that gives its row: one under way, else a new one for all the others."""
        new = {digest: pair for digest, pair in pairs.items() if (owner, version, digest) not in self._under_way}
        if new:
            task = asyncio.create_task(self._read(source, owner, version, new))
            task.add_done_callback(_looked_at)
            self._under_way |= {(owner, version, digest): task for digest in new}
        return {digest: self._under_way[owner, version, digest] for digest in pairs}

    async def _read(self, source: Source, owner: str, version: str, pairs: Mapping[str, Pair]) -> Rows:
        # The reading is shared: it goes on when the client that came first goes away.
        CALLER.set(replace(CALLER.get(), gone=None))
        try:
            columns = await source.columns(list(pairs.values()))
            rows = {digest: _row(columns, place) for place, digest in enumerate(pairs)}
            for digest, row in rows.items():
                if isinstance(row, bytes):
                    self.rows.put((owner, version, digest), row)
            return rows
        finally:
            for digest in pairs:
                del self._under_way[owner, version, digest]


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
