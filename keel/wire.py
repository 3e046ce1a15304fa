"""When to send again, and what a reply means."""

import ipaddress
import random
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from keel.calls import Call
from keel.errors import KINDS, Problem, Unreachable

T = TypeVar("T")
Outcome = httpx.Response | httpx.TransportError
LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.TimeoutException)
RETRIED = (429, 503)
ATTEMPTS = 4
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0
DEFAULT_URL = "http://127.0.0.1:8765"
DEFAULT_TIMEOUT = 120.0
OWN_NAME = "localhost"


def headers(key: str | None) -> dict[str, str]:
    """Headers and timeout of every request of a client."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def trusts_environment(url: str) -> bool:
    """Whether proxies and credentials of the environment may apply: never to this machine's own addresses.

    A proxy would get the key and every text of a request that need not leave the machine.
    """
    host = httpx.URL(url).host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host != OWN_NAME and not host.endswith(f".{OWN_NAME}")
    inner = getattr(address, "ipv4_mapped", None) or address
    return not (inner.is_loopback or inner.is_unspecified)


def request(client: httpx.Client | httpx.AsyncClient, call: Call[T]) -> httpx.Request:
    return client.build_request(call.method, call.path, json=call.json, params=call.params, headers=call.headers)


@dataclass(frozen=True)
class Retry:
    """At most ``attempts`` in all, none begun more than ``seconds`` after the first.

    Every call is safe to repeat: scoring changes nothing, and what changes something carries an Idempotency-Key.
    """

    attempts: int = ATTEMPTS
    seconds: float = DEFAULT_TIMEOUT

    def again(self, attempt: int, outcome: Outcome, elapsed: float) -> bool:
        """Whether one more attempt is due ``elapsed`` seconds after the first, after this reply or failure."""
        lost = outcome.status_code in RETRIED if isinstance(outcome, httpx.Response) else isinstance(outcome, LOST)
        return lost and attempt + 1 < self.attempts and elapsed < self.seconds


DEFAULT_RETRY = Retry()


def pause(attempt: int, outcome: Outcome) -> float:
    """Seconds before the next attempt: what the service asks for, else doubling with jitter."""
    asked = outcome.headers.get("Retry-After", "") if isinstance(outcome, httpx.Response) else ""
    wait = float(asked) if asked.isdigit() else FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311
    return min(wait, LONGEST_PAUSE)


def result(call: Call[T], outcome: Outcome) -> T:
    """The reply read by the call; raises the Problem it is instead, or Unreachable."""
    if isinstance(outcome, httpx.TransportError):
        url = outcome.request.url.copy_with(path="/", query=None)
        raise Unreachable(
            f"no reply from {url} ({type(outcome).__name__}); start a service with: keel serve"
        ) from outcome
    if outcome.is_success:
        return call.read(outcome.json() if outcome.content else None)
    body = _object(outcome)
    status, detail = outcome.status_code, str(body.get("detail") or outcome.reason_phrase)
    request_id = outcome.headers.get("X-Request-Id")
    raise KINDS.get(status, Problem)(status, detail, tuple(body.get("errors", ())), request_id)


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
