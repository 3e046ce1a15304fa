"""How a request shows who sends it: a token of this start, a header of a trusted proxy, or OpenID Connect.

Each way looks at headers and at the address of the other end, and gives a verdict: who it is, or what to reply.
"""

import hmac
import ipaddress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from ui.identity import LONGEST, person_of

VISITOR = "x-keel-visitor"
"""Header that the page's front sets for Streamlit: the person, or ``*`` where the page itself finds out."""
ANYBODY = "*"
PARAMETER = "token"


@dataclass(frozen=True)
class Request:
    """What a login may look at."""

    headers: Headers
    peer: str
    path: str
    query: str


@dataclass(frozen=True)
class Visitor:
    name: str


@dataclass(frozen=True)
class Refused:
    status: HTTPStatus
    title: str
    explanation: str
    remedy: str = ""


@dataclass(frozen=True)
class Sent:
    """A redirection that sets a cookie."""

    location: str
    cookie: str


class Way(Protocol):
    def verdict(self, request: Request) -> Visitor | Refused | Sent:
        """Who sends the request, or what to reply to it."""


@dataclass(frozen=True)
class ByToken:
    """The token of the printed address, exchanged for a cookie of this start; browsers share cookies among ports."""

    token: str = field(repr=False)
    port: int

    @property
    def cookie(self) -> str:
        return f"keel_page_{self.port}"

    @property
    def proof(self) -> str:
        """Value of the cookie: whoever sees it does not know the token."""
        return hmac.digest(self.token.encode(), b"cookie of the page", "sha256").hex()

    def verdict(self, request: Request) -> Visitor | Refused | Sent:
        fields = parse_qsl(request.query, keep_blank_values=True)
        shown = [value for name, value in fields if name == PARAMETER]
        if shown and all(_same(value, self.token) for value in shown):
            rest = urlencode([pair for pair in fields if pair[0] != PARAMETER])
            cookie = f"{self.cookie}={self.proof}; Path=/; HttpOnly; SameSite=Lax"
            return Sent(_own_path(request.path) + (f"?{rest}" if rest else ""), cookie)
        if not shown and _same(cookie_parser(request.headers.get("cookie", "")).get(self.cookie, ""), self.proof):
            return Visitor(ANYBODY)
        explanation = "Open the address that keel serve printed when it started. It holds a token, new at each start."
        return Refused(HTTPStatus.UNAUTHORIZED, "This page opens with a token", explanation, self._example())

    def _example(self) -> str:
        return f"Page http://127.0.0.1:{self.port}/?token=…"


@dataclass(frozen=True)
class ByHeader:
    """A header in which a trusted proxy names the person. Anybody else who sends it is refused."""

    header: str
    proxies: tuple[str, ...]

    def verdict(self, request: Request) -> Visitor | Refused | Sent:
        values = request.headers.getlist(self.header)
        if not self._trusted(request.peer):
            explanation = "This page opens through a proxy that knows you, not directly. Its address must stand in:"
            return Refused(HTTPStatus.FORBIDDEN, "Come through the proxy", explanation, "KEEL_TRUSTED_PROXIES")
        if len(values) > 1:
            explanation = f"The request names several people: {self.header} stands in it more than once."
            return Refused(HTTPStatus.BAD_REQUEST, "Two names at once", explanation)
        try:
            return Visitor(person_of(values[0].encode("latin-1").decode().strip() if values else ""))
        except ValueError:
            explanation = "The proxy in front of this page did not say who you are. Log in there; it must then send:"
            remedy = f"{self.header}: 1 to {LONGEST} characters, UTF-8"
            return Refused(HTTPStatus.UNAUTHORIZED, "Nobody is logged in", explanation, remedy)

    def _trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in ipaddress.ip_network(proxy, strict=False) for proxy in self.proxies)


@dataclass(frozen=True)
class ByOpenId:
    """Streamlit checks the provider's answer and keeps it in a signed cookie; the page shows nothing without it."""

    def verdict(self, request: Request) -> Visitor | Refused | Sent:
        return Visitor(ANYBODY)


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))


def _own_path(path: str) -> str:
    """A path of this page: two slashes would name another host."""
    return "/" + path.lstrip("/\\")
