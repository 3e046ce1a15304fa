"""The layer in front of Streamlit, for HTTP and WebSocket: hosts, methods, login, and headers of every reply.

Streamlit itself takes any WebSocket whose Origin equals its Host, whatever they are, and knows no login of ours.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.hosts import Hosts
from ui.login import VISITOR, Refused, Request, Sent, Visitor, Way
from ui.refusal import refusal_page

METHODS = frozenset({"GET", "HEAD"})
LARGEST_HEAD = 32 * 1024
"""Bytes of a request's head; Streamlit keeps what a provider says of a person in cookies of up to 4 kB each."""
CORE, HEALTH = "/_stcore/", "/_stcore/health"
CORE_PATHS = frozenset({HEALTH, "/_stcore/host-config", "/_stcore/stream"})
"""What a browser needs of Streamlit's own routes: neither its figures, nor uploads, nor its interface for programs."""
OWN_CONTENT = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": OWN_CONTENT,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
POLICY_VIOLATION = 1008


class Front:
    """Passes on what may reach Streamlit, with the visitor's name in a header that nobody else can set."""

    def __init__(self, app: ASGIApp, hosts: Hosts, way: Way) -> None:
        self._app, self._hosts, self._way = app, hosts, way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        verdict = self._verdict(scope)
        if isinstance(verdict, Visitor):
            await self._app(_named(scope, verdict), receive, _guarded(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await _reply(verdict)(scope, receive, _guarded(send))

    def _verdict(self, scope: Scope) -> Visitor | Refused | Sent:
        headers = Headers(scope=scope)
        if (size := _size(scope)) > LARGEST_HEAD:
            explanation = f"The head of the request has {size} bytes; {LARGEST_HEAD} are possible. Delete cookies."
            return Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Too much to say", explanation)
        if fault := self._hosts.fault(headers, origin_needed=scope["type"] == "websocket"):
            explanation = f"{fault} Use the address that keel serve printed. Names of a proxy must stand in:"
            title, remedy = "Not an address of this page", "KEEL_ALLOWED_HOSTS"
            return Refused(HTTPStatus.MISDIRECTED_REQUEST, title, explanation, remedy)
        if scope["type"] == "http" and scope["method"] not in METHODS:
            return Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Nothing to send here", "This page takes GET and HEAD alone.")
        if scope["path"].startswith(CORE) and scope["path"] not in CORE_PATHS:
            return Refused(HTTPStatus.NOT_FOUND, "Nothing here", "This page has no such address.")
        if scope["path"] == HEALTH:
            return Visitor("")
        query = scope["query_string"].decode("latin-1")
        return self._way.verdict(Request(headers, (scope.get("client") or ("",))[0], scope["path"], query))


def _size(scope: Scope) -> int:
    """Bytes in the head of a request."""
    return len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(k) + len(v) for k, v in scope["headers"])


def _named(scope: Scope, visitor: Visitor) -> Scope:
    """The request with our header, and without any copy of it that the client sent.

    Streamlit compares Host and Origin once more. Both are ours by now, though a proxy may have rewritten the Host.
    """
    name = VISITOR.encode()
    headers = [pair for pair in scope["headers"] if pair[0].lower() != name]
    if scope["type"] == "websocket":
        host = Headers(scope=scope)["origin"].partition("://")[2].encode()
        headers = [(key, host if key == b"host" else value) for key, value in headers]
    return {**scope, "headers": [*headers, (name, visitor.name.encode())]}


def _guarded(send: Send) -> Callable[[Message], Any]:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = headers[name] if name == "Content-Security-Policy" and name in headers else value
        await send(message)

    return guarded


def _reply(verdict: Refused | Sent) -> Response:
    if isinstance(verdict, Refused):
        return refusal_page(verdict)
    return RedirectResponse(
        verdict.location, HTTPStatus.SEE_OTHER, {"Set-Cookie": verdict.cookie, "Cache-Control": "no-store"}
    )
