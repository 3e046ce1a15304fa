"""Whether the service can do its work now: looked at when somebody asks, at most twice a second, whoever asks.

A look at the store writes to the disk and reads; a look at the sources is free until a text could not be read.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextvars import Context

from app.errors import NotReady
from app.scoring.engine import Engine
from app.storage.store import Store

LOG = logging.getLogger("keel")
FRESH_SECONDS = 0.5
"""Age up to which a verdict is told again."""
PATIENCE_SECONDS = 1.0
"""Time in which a part has to answer."""
STOPPING = "the service is stopping; send the request to another one, or wait until this one is back"


class Part:
    """One part's verdict: ``check`` raises NotReady while it cannot do its work."""

    def __init__(self, name: str, check: Callable[[], Coroutine[object, object, None]]) -> None:
        self.name, self._check = name, check
        self._begun = 0.0
        self._look: asyncio.Task[str | None] | None = None

    async def fault(self) -> str | None:
        """What is wrong and the remedy; None when all is well."""
        now = time.monotonic()
        if self._look is None or (self._look.done() and now - self._begun > FRESH_SECONDS):
            # In no request's context: others wait for the same look.
            self._begun, self._look = now, asyncio.create_task(self._looked(), context=Context())
        await asyncio.wait([self._look], timeout=max(0.0, self._begun + PATIENCE_SECONDS - now))
        if self._look.done():
            return self._look.result()
        return f"the {self.name} has not answered for {PATIENCE_SECONDS:g} s; see what keeps disk or processor busy"

    async def _looked(self) -> str | None:
        try:
            await self._check()
        except NotReady as error:
            return str(error)
        except Exception as error:
            LOG.error("health", extra={"fields": {"part": self.name, "exception": type(error).__name__}})
            return f"the {self.name} fails ({type(error).__name__}); the service's log says more"
        return None


class Health:
    """The parts of the service, and whether it was asked to stop."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._parts = (Part("store", store.check), Part("encoder", engine.check))
        self.stopping = False

    async def require_ready(self) -> None:
        """Raises NotReady, which names the first part that cannot do its work."""
        if self.stopping:
            raise NotReady(STOPPING)
        for part in self._parts:
            fault = await part.fault()
            if fault is not None:
                raise NotReady(fault)

    async def parts(self) -> dict[str, bool]:
        """Whether each part can do its work."""
        faults = await asyncio.gather(*(part.fault() for part in self._parts))
        return {part.name: fault is None for part, fault in zip(self._parts, faults, strict=True)}
