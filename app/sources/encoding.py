"""Texts to vectors off the event loop: one worker thread, one queue in which tenants take turns, one cache.

A text is encoded once however many requests wait for it, and leaves the queue when none of them does any longer. To
the encoder's source the queue is a ``Vectors`` (``reward_bases/sources/embedding.py``).
"""

import asyncio
import gc
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from app.cache import LruCache
from app.caller import CALLER, Caller
from app.errors import ClientGone, NotReady
from app.observing.measured import took
from app.observing.metrics import ENCODED_TEXTS, ENCODED_TOKENS, QUEUE_WAIT
from app.sources.turns import Batch, Limits, Turns, Waiting
from elicitation.errors import KeelError
from reward_bases.text import digest

Key = tuple[str, str]
"""The caller's name in the caches and the digest of the text."""


class Encoder(Protocol):
    """Unit vectors (n, d) for n texts."""

    def encode(self, texts: Sequence[str]) -> Tensor: ...


@runtime_checkable
class Stepwise(Protocol):
    """An encoder that can be interrupted: None after each step but the last, which gives the vectors (n, d)."""

    def steps(self, texts: Sequence[str]) -> Iterator[Tensor | None]: ...


class EncodingQueue:
    """Belongs to the event loop that first uses it; new requests are refused while too much waits."""

    def __init__(self, load: Callable[[], Encoder], cache_size: int, limits: Limits | None = None) -> None:
        self.cache: LruCache[Key, Tensor] = LruCache(cache_size)
        self.batches = 0
        self.turns = Turns(limits or Limits())
        self._load = load
        self._encoder: Encoder | None = None
        self._fault: str | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._waiting: dict[tuple[str, Key], Waiting] = {}
        self._runner: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        return self._encoder is not None

    async def start(self) -> None:
        """Load the encoder on the worker thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._loaded)

    def require_loaded(self) -> None:
        """Raises NotReady while there is no encoder, with the reason where loading failed."""
        if self._encoder is None:
            raise NotReady(self._fault or "the encoder is still loading; try again in a second")

    def give_up(self, error: NotReady) -> None:
        """Answer all that waits with ``error``."""
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(error)
                waiting.future.exception()

    async def close(self) -> None:
        if self._runner is not None:
            await asyncio.wait([self._runner])
        await asyncio.to_thread(self._thread.shutdown)

    async def of(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (n, d) of ``texts`` in their order.

        Raises Overloaded or TooManyRequests when too much waits, ClientGone when nobody waits for the reply, NotReady
        when the encoder could not be loaded.
        """
        if self._fault is not None:
            raise NotReady(self._fault)
        caller = CALLER.get()
        keys = [(caller.cache, digest(text)) for text in texts]
        known = {key: self.cache.get(key) for key in keys}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if known[key] is None}
        fresh = await self._encoded(missing, caller) if missing else {}
        return torch.stack([fresh[key] if (vector := known[key]) is None else vector for key in keys])

    async def _encoded(self, texts: dict[Key, str], caller: Caller) -> dict[Key, Tensor]:
        self.turns.admit(caller)
        start = time.perf_counter_ns()
        waiting = [self._wait(key, text, caller) for key, text in texts.items()]
        try:
            await _all_or_gone([one.future for one in waiting], caller)
            return {one.key: one.future.result() for one in waiting}
        finally:
            _measure(waiting, start)
            for one in waiting:
                self._let_go(one)

    def _wait(self, key: Key, text: str, caller: Caller) -> Waiting:
        # Of each tenant's own: in another's line the text would wait for what the other has sent.
        tenant = caller.tenant
        waiting = self._waiting.get((tenant, key))
        if waiting is None:
            future = asyncio.get_running_loop().create_future()
            waiting = self._waiting[tenant, key] = Waiting(tenant, key, text, future, payer=caller.payer)
            self.turns.add(waiting)
        waiting.wanted += 1
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return waiting

    def _let_go(self, waiting: Waiting) -> None:
        waiting.wanted -= 1
        if not waiting.wanted and self._waiting.get((waiting.tenant, waiting.key)) is waiting:
            self.turns.leave(waiting)
            del self._waiting[waiting.tenant, waiting.key]

    async def _run(self) -> None:
        while self.turns:
            batch = self.turns.next()
            if batch.steps is None:
                self._begin(batch)
            try:
                rows = await asyncio.get_running_loop().run_in_executor(self._thread, self._step, batch)
            except Exception as error:
                self.turns.step(batch)
                self._end(batch, [error] * len(batch.texts))
            else:
                self.turns.step(batch)
                if rows is not None:
                    self._end(batch, rows)
        self._runner = None

    def _begin(self, batch: Batch) -> None:
        self.batches += 1
        for waiting in batch.texts:
            waiting.begun = time.perf_counter_ns()

    def _end(self, batch: Batch, outcomes: Sequence[Tensor | Exception]) -> None:
        self.turns.end(batch)
        ENCODED_TEXTS.inc(len(batch.texts))
        ENCODED_TOKENS.inc(batch.tokens)
        for waiting, outcome in zip(batch.texts, outcomes, strict=True):
            if isinstance(outcome, Tensor):
                self.cache.put(waiting.key, outcome)
            if not waiting.wanted:
                continue
            del self._waiting[waiting.tenant, waiting.key]
            if waiting.future.done():
                continue
            if isinstance(outcome, Tensor):
                waiting.future.set_result(outcome)
            else:
                waiting.future.set_exception(outcome)

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            try:
                encoder = self._load()
            except Exception as error:
                reason = str(error) if isinstance(error, KeelError) else type(error).__name__
                self._fault = f"the encoder cannot be loaded ({reason}); mend its files: it is tried again by itself"
                raise NotReady(self._fault) from error
            self._fault = None
            # A collection of all that was imported would hold Python's lock for a third of a second.
            gc.freeze()
            self._encoder = encoder
        return self._encoder

    def _step(self, batch: Batch) -> list[Tensor] | None:
        """One step of a batch; after the last the vectors (d,) of its texts."""
        if batch.steps is None:
            encoder, texts = self._loaded(), [waiting.text for waiting in batch.texts]
            batch.steps = encoder.steps(texts) if isinstance(encoder, Stepwise) else iter([encoder.encode(texts)])
        vectors = next(batch.steps)
        # Rows are cloned: a view would keep the whole batch alive as long as one of its vectors is cached.
        return None if vectors is None else [row.clone() for row in vectors]


async def _all_or_gone(futures: Collection[asyncio.Future[Tensor]], caller: Caller) -> None:
    """Return when all are done; raises ClientGone when the caller's client goes away before."""
    # Futures are shared between requests: wait, unlike gather, leaves them alone when one request is cancelled.
    everything = asyncio.ensure_future(asyncio.wait(futures))
    try:
        await asyncio.wait([everything, *([caller.gone] if caller.gone else [])], return_when=asyncio.FIRST_COMPLETED)
        if not everything.done():
            raise ClientGone("the client closed the connection before its reply")
    finally:
        everything.cancel()


def _measure(waiting: Sequence[Waiting], start: int) -> None:
    """Note how long the texts waited for the first turn of one of them, and from then on for their vectors."""
    end = time.perf_counter_ns()
    begun = min((one.begun for one in waiting if one.begun is not None), default=end)
    turn = max(start, begun)
    took("wait", start, turn)
    QUEUE_WAIT.observe((turn - start) / 1e9)
    took("encode", turn, end)
