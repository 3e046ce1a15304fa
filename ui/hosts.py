"""Which Host and Origin a request may carry.

A page on the web can make a browser send requests to 127.0.0.1 under a name of its own (DNS rebinding), or open a
WebSocket from anywhere. Host and Origin, which a browser sets itself, show both.
"""

from collections.abc import Set
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

DEFAULT_PORTS = {"http": 80, "https": 443}
SHOWN = 80


@dataclass(frozen=True)
class Hosts:
    """The names of a page on ``port``; ``named`` are those of its names that a proxy serves on a usual port."""

    names: Set[str]
    named: Set[str]
    port: int

    def fault(self, headers: Headers, origin_needed: bool) -> str | None:
        """What is wrong with Host or Origin, in a sentence; None where nothing is.

        An Origin must be the address that Host names, or one of the page's own.
        """
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or _parts(f"//{hosts[0]}", "http")[0] not in self.names:
            shown = ", ".join(hosts)[:SHOWN]
            return f"{shown!r} is no name of this page."
        if len(origins) > 1 or (origin_needed and not origins):
            return "A connection to this page must say which page it comes from."
        if origins and not self._own(origins[0], hosts[0]):
            return f"Pages of {origins[0][:SHOWN]!r} may not use this page."
        return None

    def _own(self, origin: str, host: str) -> bool:
        scheme = origin.partition("://")[0].lower()
        if scheme not in DEFAULT_PORTS or origin.count("/") != 2:
            return False
        name, port = _parts(origin, scheme)
        if (name, port) == _parts(f"//{host}", scheme):
            return True
        return (name in self.names and port == self.port) or (name in self.named and port == DEFAULT_PORTS[scheme])


def _parts(url: str, scheme: str) -> tuple[str | None, int | None]:
    """Name and port of an address without a user; ``scheme`` says which port is meant where none stands."""
    try:
        parts = urlsplit(url)
        plain = parts.username is None and not parts.path and not parts.query and not parts.fragment
        return (parts.hostname if plain else None), parts.port or DEFAULT_PORTS[scheme]
    except ValueError:
        return None, None
