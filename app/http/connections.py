"""uvicorn's HTTP/1.1 connection with the limits that it lacks: on time for head and body, and on the number of all.

A connection waits for its client in one of three ways: for a head (or silent), for a body, or to have its reply read.
Each has a time limit, counted from the start of the wait: bytes that trickle in do not prolong it.
"""

import asyncio
import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

DETAILS = {
    HTTPStatus.BAD_REQUEST: "the request is no HTTP/1.1 that can be read; send another",
    HTTPStatus.REQUEST_TIMEOUT: "the request did not arrive in time; send it whole, or raise KEEL_BODY_SECONDS",
    HTTPStatus.SERVICE_UNAVAILABLE: "all connections are at work; try again, or raise KEEL_MAX_CONNECTIONS",
}
HEADERS = {HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After: 1\r\n"}


def _refusal(status: HTTPStatus, request_id: str) -> bytes:
    """The whole reply."""
    problem = {"type": "about:blank", "title": status.phrase, "status": status, "detail": DETAILS[status]}
    body = json.dumps({**problem, "request_id": request_id})
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
    named = f"X-Request-Id: {request_id}\r\n{HEADERS.get(status, '')}"
    return f"{head}{named}Content-Length: {len(body)}\r\n\r\n{body}".encode()


FIRST_REQUEST_SECONDS = 0.5
"""Time after a stop in which a new connection may send its request: closed at once, it would be reset."""


class Requests(Protocol):
    """Names and counts what is answered."""

    def name(self, scope: Any) -> str:
        """The id of a request whose head was read; the same each time."""

    def refused(self, status: int, request_id: str) -> None:
        """Note a refusal before a request was there."""


@dataclass(frozen=True)
class Limits:
    """Seconds for the head, the body and the reading of a reply; the largest number of connections."""

    head: float = 10
    body: float = 60
    reading: float = 60
    connections: int = 512


class Connection(H11Protocol):
    """One client's connection. ``limits`` and ``requests`` are set on a subclass (``connection_class``)."""

    limits = Limits()
    requests: Requests

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for, self.since = "", self.loop.time()
        if len(self.connections) > self.limits.connections and not self._take_place():
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._wait("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait("")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait("reading")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wait("")
        self._watch()

    def shutdown(self) -> None:
        """The service stops: end after the request under way. The first request of a connection may still arrive."""
        if self.cycle is None:
            self.loop.call_later(FIRST_REQUEST_SECONDS, self._end)
        else:
            super().shutdown()

    @property
    def idle(self) -> bool:
        """Whether it is open and no request is under way, in any part of it but its head."""
        return (
            not self.transport.is_closing()
            and self.conn.their_state is h11.IDLE
            and (self.cycle is None or self.cycle.response_complete)
        )

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless a reply is already on its way."""
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self._refuse(HTTPStatus.BAD_REQUEST)
        self.transport.close()

    def _end(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _watch(self) -> None:
        if self._waits_for == "reading" or self.transport.is_closing():
            return
        if self.conn.their_state is h11.SEND_BODY:
            self._wait("body")
        elif self.idle and (self.timeout_keep_alive_task is None or self.conn.trailing_data[0]):
            self._wait("head")
        else:
            self._wait("")

    def _wait(self, what: str) -> None:
        """Start the time limit of ``what``, unless it runs already; nothing for an empty name."""
        if what == self._waits_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._waits_for, self.since = what, self.loop.time()
        self._timer = self.loop.call_later(getattr(self.limits, what), self._late) if what else None

    def _late(self) -> None:
        if self._waits_for == "reading":
            self.transport.abort()
            return
        if self.cycle is None or not self.cycle.response_started:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        """Say why. A request whose head was read is counted where it ends, as others are."""
        if self.cycle is None or self.cycle.response_complete:
            request_id = secrets.token_hex(16)
            self.requests.refused(status, request_id)
        else:
            request_id = self.requests.name(self.cycle.scope)
            self.cycle.scope["state"]["refused"] = status.value
        self.transport.write(_refusal(status, request_id))
        self.transport.close()

    def _take_place(self) -> bool:
        """Close the connection that has been idle for longest; False when there is none."""
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self and one.idle]
        if not others:
            return False
        min(others, key=lambda one: one.since).transport.abort()
        return True


def connection_class(limits: Limits, requests: Requests) -> type[Connection]:
    """The connection for uvicorn's ``http`` option."""
    return type("LimitedConnection", (Connection,), {"limits": limits, "requests": requests})
