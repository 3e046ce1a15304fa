"""uvicorn's HTTP/1.1 connection, with an end to waiting for a head and a bound on the number of all.

Open files run out otherwise, and asyncio then writes an error for each connection that it cannot accept.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS_FOR_A_HEAD = 10
MOST = 256


class Connection(H11Protocol):
    """Closed when a head takes long. The one idle for longest gives way to a new one; without one, the new one goes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self.since = self.loop.time()
        if len(self.connections) > MOST:
            self._longest_idle().transport.abort()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    @property
    def idle(self) -> bool:
        """Whether no request is under way, in any part of it but its head."""
        return self.conn.their_state is h11.IDLE and (self.cycle is None or self.cycle.response_complete)

    def _watch(self) -> None:
        if not self.idle:
            self._stop()
        elif self._timer is None and not self.transport.is_closing():
            self.since = self.loop.time()
            self._timer = self.loop.call_later(SECONDS_FOR_A_HEAD, self.transport.abort)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _longest_idle(self) -> "Connection":
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self]
        idle = [one for one in others if one.idle and not one.transport.is_closing()]
        return min(idle, key=lambda one: one.since, default=self)
