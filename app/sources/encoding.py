"""Texts to vectors off the event loop: one worker thread, one queue, one cache that all people share.

While a batch is being encoded the texts of other requests gather; they form the next batch, sorted by length so that
little is padded. A text is encoded once however many requests wait for it. To the encoder's source the queue is a
``Vectors`` (``reward_bases/sources/embedding.py``).
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from app.cache import LruCache
from app.errors import Overloaded
from reward_bases.text import digest

TEXTS_PER_BATCH = 128
MAX_WAITING = 4_096


class Encoder(Protocol):
    """Unit vectors (n, d) for n texts."""

    def encode(self, texts: Sequence[str]) -> Tensor: ...


class EncodingQueue:
    """Belongs to the event loop that first uses it; new requests are refused while ``max_waiting`` texts wait."""

    def __init__(self, load: Callable[[], Encoder], cache_size: int, max_waiting: int = MAX_WAITING) -> None:
        self.cache: LruCache[str, Tensor] = LruCache(cache_size)
        self.batches = 0
        self._max_waiting = max_waiting
        self._load = load
        self._encoder: Encoder | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._gathering: dict[str, str] = {}
        self._waiting: dict[str, asyncio.Future[Tensor]] = {}
        self._runner: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        return self._encoder is not None

    async def start(self) -> None:
        """Load the encoder on the worker thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._loaded)

    async def close(self) -> None:
        if self._runner is not None:
            await asyncio.wait([self._runner])
        await asyncio.to_thread(self._thread.shutdown)

    async def of(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (n, d) of ``texts`` in their order; Overloaded when too many wait."""
        keys = [digest(text) for text in texts]
        vectors = await self._vectors(dict(zip(keys, texts, strict=True)))
        return torch.stack([vectors[key] for key in keys])

    async def _vectors(self, texts: dict[str, str]) -> dict[str, Tensor]:
        """The vectors (d,) of ``texts``, a map digest → text, under the same digests."""
        known = {key: self.cache.get(key) for key in texts}
        if None in known.values() and len(self._waiting) >= self._max_waiting:
            raise Overloaded(
                f"{len(self._waiting)} texts wait for the encoder >= limit {self._max_waiting}; try again in a second, "
                "send fewer at a time, or raise KEEL_MAX_WAITING_TEXTS"
            )
        waiting = {key: self._wait(key, texts[key]) for key, vector in known.items() if vector is None}
        if waiting:
            # Futures are shared between requests: wait, unlike gather, leaves them alone when one request is cancelled.
            await asyncio.wait(waiting.values())
        fresh = {key: future.result() for key, future in waiting.items()}
        return {key: fresh[key] if vector is None else vector for key, vector in known.items()}

    def _wait(self, key: str, text: str) -> asyncio.Future[Tensor]:
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            self._gathering[key] = text
            if self._runner is None:
                self._runner = asyncio.create_task(self._run())
        return future

    async def _run(self) -> None:
        while self._gathering:
            gathered = sorted(self._gathering.items(), key=lambda item: len(item[1]))
            self._gathering = {}
            for start in range(0, len(gathered), TEXTS_PER_BATCH):
                await self._encode(gathered[start : start + TEXTS_PER_BATCH])
        self._runner = None

    async def _encode(self, batch: Sequence[tuple[str, str]]) -> None:
        self.batches += 1
        texts = [text for _, text in batch]
        try:
            rows = await asyncio.get_running_loop().run_in_executor(self._thread, self._encoded, texts)
        except Exception as error:
            for key, _ in batch:
                self._waiting.pop(key).set_exception(error)
            return
        for (key, _), row in zip(batch, rows, strict=True):
            self.cache.put(key, row)
            self._waiting.pop(key).set_result(row)

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder

    def _encoded(self, texts: list[str]) -> list[Tensor]:
        # Rows are cloned: a view would keep the whole batch alive as long as one of its vectors is cached.
        return [row.clone() for row in self._loaded().encode(texts)]
