"""Admission: requests must address one of our names, and clients must send a key if keys exist.

A page on the web can make a browser send requests to 127.0.0.1 under a name of its own (DNS rebinding) or as a form;
their Host and Origin show both. A path is closed unless ``app/http/access.py`` lists it as open.
"""

import ipaddress
from collections.abc import Set
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from app.caller import CALLER, Caller
from app.http.access import OPEN_PATHS
from app.http.problems import keel_problem, problem
from app.storage.keys import Grant, Keys
from app.storage.registry import Scope
from elicitation.errors import KeelError

METRICS = "/metrics"
METRICS_ALONE = Grant("", frozenset({Scope.AUDIT}))
"""What this machine may do without a key on the path of metrics."""
FORWARDED = frozenset({"forwarded", "via", "x-real-ip"})
"""Headers of a proxy, beside those that begin with ``x-forwarded-``."""


class KnownHosts:
    """Answers 421 to a request for, or from a page of, a host that is not ours; ``hosts`` None lets any pass."""

    def __init__(self, app: ASGIApp, hosts: Set[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
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
    """Puts what the key grants into the request's state, or answers 401.

    Metrics are open to this machine if ``local_metrics``: to a request that comes from it and through no proxy.
    Tenants have caches of their own unless ``share_caches``.
    """

    def __init__(self, app: ASGIApp, keys: Keys, local_metrics: bool = True, share_caches: bool = False) -> None:
        self._app, self._keys = app, keys
        self._local_metrics, self._share_caches = local_metrics, share_caches

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                grant = await self._granted(scope)
            except KeelError as error:
                await keel_problem(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["grant"] = grant
            cache = "" if self._share_caches else grant.tenant
            entered = CALLER.set(Caller(grant.tenant, cache, payer=grant.payer, max_tokens=grant.max_tokens))
            try:
                await self._app(scope, receive, send)
            finally:
                CALLER.reset(entered)
        else:
            await self._app(scope, receive, send)

    async def _granted(self, scope: AsgiScope) -> Grant:
        if self._local_metrics and scope["path"] == METRICS and _loopback(scope):
            return METRICS_ALONE
        return await self._keys.grant(presented(Headers(scope=scope)))


def presented(headers: Headers) -> str | None:
    """The key in ``Authorization: Bearer`` or else in ``X-API-Key``."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _loopback(scope: AsgiScope) -> bool:
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
