"""Admission: requests must address one of our names, and clients must send a key if keys exist.

A page on the web can make a browser send requests to 127.0.0.1 under a name of its own (DNS rebinding) or as a form;
their Host and Origin show both. A path is closed unless it is listed here as open.
"""

import ipaddress
from collections.abc import Set
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.caller import CALLER, Caller
from app.http.problems import keel_problem, problem
from app.storage.keys import Keys
from elicitation.errors import KeelError

OPEN = frozenset({"/health/live", "/health/ready", "/docs", "/openapi.json"})
METRICS = "/metrics"
FORWARDED = frozenset({"forwarded", "via", "x-real-ip"})
"""Headers of a proxy, beside those that begin with ``x-forwarded-``."""


class KnownHosts:
    """Answers 421 to a request for, or from a page of, a host that is not ours; ``hosts`` None lets any pass."""

    def __init__(self, app: ASGIApp, hosts: Set[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._hosts is not None:
            headers = Headers(scope=scope)
            named = [f"//{headers.get('host', '')}", *headers.getlist("origin")]
            strangers = [name for name in named if _host(name) not in self._hosts]
            if strangers:
                detail = f"{strangers[0].removeprefix('//')[:80]!r} is no name of this service; add it to"
                refusal = problem(HTTPStatus.MISDIRECTED_REQUEST, f"{detail} KEEL_ALLOWED_HOSTS or use its address")
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


class RequireKey:
    """Puts the tenant into the request's state, or answers 401.

    Metrics are open to this machine if ``local_metrics``: to a request that comes from it and through no proxy.
    Tenants have caches of their own unless ``share_caches``.
    """

    def __init__(self, app: ASGIApp, keys: Keys, local_metrics: bool = True, share_caches: bool = False) -> None:
        self._app, self._keys = app, keys
        self._local_metrics, self._share_caches = local_metrics, share_caches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._open(scope):
            try:
                tenant = await self._keys.tenant(presented(Headers(scope=scope)))
            except KeelError as error:
                await keel_problem(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["tenant"] = tenant
            entered = CALLER.set(Caller(tenant, "" if self._share_caches else tenant))
            try:
                await self._app(scope, receive, send)
            finally:
                CALLER.reset(entered)
        else:
            await self._app(scope, receive, send)

    def _open(self, scope: Scope) -> bool:
        return scope["path"] in OPEN or (self._local_metrics and scope["path"] == METRICS and _loopback(scope))


def presented(headers: Headers) -> str | None:
    """The key in ``Authorization: Bearer`` or else in ``X-API-Key``."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _loopback(scope: Scope) -> bool:
    """Whether a client on this machine sent the request itself: what a proxy passes on comes from anywhere."""
    if any(name in FORWARDED or name.startswith("x-forwarded-") for name in Headers(scope=scope)):
        return False
    try:
        return ipaddress.ip_address(scope["client"][0]).is_loopback
    except (TypeError, ValueError):
        return False


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
