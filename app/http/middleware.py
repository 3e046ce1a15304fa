"""Middleware between the socket and the routes: a bound on bodies, one log line and one measurement per request.

The log holds method, route template, status, time and the request's id: no path, query, body, other header or exception
message, because any of them may carry what a person wrote or is called.
"""

import asyncio
import logging
import re
import secrets
import traceback
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.caller import CALLER
from app.errors import TooLarge
from app.http.json_bounds import require_bounded
from app.http.logs import OWN
from app.http.problems import UNEXPECTED, keel_problem, problem
from app.observing.measured import REQUEST, Measured
from app.observing.metrics import count_stages
from app.observing.spans import Spans
from elicitation.errors import KeelError

LOG = logging.getLogger(OWN)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods in labels and in the log; all others are one, since a caller may invent any number of them."""
UNKNOWN = "unknown"
"""Route of what is for none."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
DRAINED_BYTES = 64 * 2**20
LARGE_BODY_BYTES = 2**16
LARGE_BODY_PAUSE = 0.01
"""Seconds that the event loop has for everything else before each large body is parsed."""


class Requests:
    """Names, counts, times and logs what is answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter("keel_requests", "Requests answered", labels, registry=registry)
        self._seconds = Histogram("keel_request_seconds", "Time to the reply", labels[:2], registry=registry)

    def name(self, scope: Scope) -> str:
        """The request's id, kept in the scope's state."""
        state: dict[str, str] = scope.setdefault("state", {})
        return state.setdefault("request_id", request_id_of(Headers(scope=scope)))

    def answered(self, method: str, route: str, status: int, seconds: float, request_id: str) -> None:
        """A request; ``method`` and ``route`` are labels."""
        self._seconds.labels(method, route).observe(seconds)
        self._note(method, route, status, {"milliseconds": round(seconds * 1000, 2), "request_id": request_id})

    def refused(self, status: int, request_id: str) -> None:
        """A connection whose request could not be read, or did not come."""
        self._note("any", UNKNOWN, status, {"request_id": request_id})

    def _note(self, method: str, route: str, status: int, fields: Mapping[str, object]) -> None:
        self._requests.labels(method, route, status).inc()
        LOG.info("request", extra={"fields": {"method": method, "route": route, "status": status, **fields}})


class RequestLog:
    """Outermost: names, logs and measures every request and turns an unexpected exception into a problem.

    A connection that ends a request with a refusal of its own leaves the status in the scope's state.
    """

    def __init__(self, app: ASGIApp, requests: Requests, spans: Spans | None = None) -> None:
        self._app, self._requests, self._spans = app, requests, spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, status = Measured(self._requests.name(scope)), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _mark(message, scope, request)
            await send(message)

        entered = REQUEST.set(request)
        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            _log_place(error, request)
            if status:
                raise
            await problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED)(scope, receive, watched)
        finally:
            REQUEST.reset(entered)
        self._record(scope, status or scope["state"].get("refused", 0), request)

    def _record(self, scope: Scope, status: int, request: Measured) -> None:
        route = getattr(scope.get("route"), "path", UNKNOWN)
        method = scope["method"] if scope["method"] in METHODS else "other"
        if route == UNKNOWN:
            method = "any"
        count_stages(request)
        self._requests.answered(method, route, status, request.total, request.request_id)
        if self._spans is not None and _admitted(scope):
            self._spans.add(request, method, route, status, Headers(scope=scope).get("traceparent"))


def request_id_of(headers: Headers) -> str:
    """The caller's X-Request-Id if it sent one that is safe to repeat and to log, else a new one."""
    given = headers.getlist("x-request-id")
    return given[0] if len(given) == 1 and REQUEST_ID.fullmatch(given[0]) else secrets.token_hex(16)


def _admitted(scope: Scope) -> bool:
    """Whether a key opened the service to the request, or none is needed."""
    return "grant" in scope.get("state", {})


def _mark(start: Message, scope: Scope, request: Measured) -> None:
    """Add the request's id to its reply. A reply to a valid key also gets the times of its stages."""
    headers = MutableHeaders(scope=start)
    headers["X-Request-Id"] = request.request_id
    if _admitted(scope):
        stages = [*request.seconds.items(), ("total", request.total)]
        headers["Server-Timing"] = ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in stages)


class BodyLimit:
    """Reads the body up to the limit, chunked or not, before any route sees it; 413 beyond.

    Parsing a large body keeps the event loop busy for some hundredths of a second. Large bodies take turns, with a
    pause before each, so that many of them together delay nobody by more than one does.
    """

    def __init__(self, app: ASGIApp, limit: int, max_values: int) -> None:
        self._app, self._limit, self._max_values = app, limit, max_values
        self._large = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            # Two parties that believe one each would see two different requests.
            detail = "Content-Length and Transfer-Encoding contradict each other; send one of them"
            await problem(HTTPStatus.BAD_REQUEST, detail, headers={"Connection": "close"})(scope, receive, send)
            return
        body, size, more = [], 0, True
        # A client that is still sending would miss the reply: what is over the limit is read and thrown away.
        while more and size <= self._limit + DRAINED_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size <= self._limit:
                body.append(message.get("body", b""))
            else:
                body.clear()
        if size > self._limit:
            error = TooLarge(
                f"body over the limit of {self._limit} bytes; split the request or raise KEEL_MAX_BODY_BYTES"
            )
            await keel_problem(error)(scope, receive, send)
            return
        whole = b"".join(body)
        try:
            await self._admit(whole)
        except KeelError as error:
            await keel_problem(error)(scope, receive, send)
            return
        gone = asyncio.create_task(_disconnected(receive))
        entered = CALLER.set(replace(CALLER.get(), gone=gone))
        try:
            await self._app(scope, _replayed(whole, gone), send)
        finally:
            CALLER.reset(entered)
            gone.cancel()

    async def _admit(self, body: bytes) -> None:
        """Return at the body's turn; raises what ``require_bounded`` raises."""
        if len(body) > LARGE_BODY_BYTES:
            async with self._large:
                await asyncio.sleep(LARGE_BODY_PAUSE)
                require_bounded(body, self._max_values)
        else:
            require_bounded(body, self._max_values)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _replayed(body: bytes, gone: asyncio.Task[None]) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        if pending:
            return pending.pop()
        await asyncio.wait([gone])
        return {"type": "http.disconnect"}

    return replay


def _log_place(error: Exception, request: Measured) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    fields = {"exception": type(error).__name__, "place": place, "request_id": request.request_id}
    LOG.error("unexpected", extra={"fields": fields})
