"""The log and the metrics of a real service say nothing that a caller sent, wherever and however it was sent."""

import json
import socket
from collections.abc import Callable

import httpx
import pytest
from processes import Process

pytestmark = pytest.mark.slow
SECRET = "zenobia"
JSON = "Content-Type: application/json"
HEADERS = (
    f"User-Agent: {SECRET}",
    f"Cookie: a={SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"X-API-Key: {SECRET}",
    f"X-User-Id: {SECRET}",
    f"Origin: http://{SECRET}.example",
    f"Referer: http://localhost/{SECRET}",
    f"X-Forwarded-For: {SECRET}",
    f"Forwarded: for={SECRET}",
    f"traceparent: {SECRET}",
    f"X-Request-Id: {SECRET} {SECRET}",
    f"Expect: {SECRET}",
    f"Upgrade: {SECRET}\r\nConnection: Upgrade",
    f"Content-Encoding: {SECRET}",
    f"Content-Type: {SECRET}/{SECRET}; charset={SECRET}",
    f"Accept: {SECRET}",
    f"{SECRET}: {SECRET}",
)
BODIES = (
    "{}",
    f'"{SECRET}"',
    f'{{"{SECRET}": "{SECRET}"}}',
    f'{{"prompts": ["{SECRET}"], "completions": ["{SECRET}"], "user_id": "{SECRET}"}}',
    f'{{"prompts": "{SECRET}", "completions": 3}}',
    f'{{"prompts": ["a"], "completions": ["b"], "user_id": "{SECRET}/{SECRET}"}}',
    f'{{"prompts": ["a"], "completions": ["b"], "profile_version": "{SECRET}"}}',
    f"{SECRET} is no JSON",
    f'{{"model": "keel/{SECRET}", "query": "{SECRET}", "documents": ["{SECRET}"]}}',
)
PATHS = ("/v1/score", "/rerank", f"/u/{SECRET}/v1/score", f"/v1/users/{SECRET}/questions", f"/{SECRET}")
MALFORMED = (
    f"{SECRET}\r\n\r\n",
    f"GET /{SECRET} HTTP/9.9\r\n\r\n",
    f"GET /info HTTP/1.1\r\nHost: localhost\r\n{SECRET}\r\n\r\n",
    f"GET /info HTTP/1.1\r\nHost: {SECRET}.example\r\n\r\n",
    f"GET http://{SECRET}.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    f"GET /info HTTP/1.1\r\nHost: localhost\r\nA: {SECRET * 20_000}\r\n\r\n",
    f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
    f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {SECRET}\r\n\r\n",
    f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SECRET}\r\n\r\n",
    f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{SECRET}",
    f"\x16\x03\x01{SECRET}\x00\xff",
)


def request(method: str, path: str, *headers: str, body: str = "") -> str:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", body])


def requests() -> list[str]:
    """Whole requests with the secret in each place, then such as are none."""
    found = [request("POST", path, JSON, body=body) for path in PATHS for body in BODIES]
    found += [request("GET", f"{path}?{SECRET}={SECRET}") for path in ("/info", "/health/ready", "/metrics", *PATHS)]
    found += [request(method, path) for method in (SECRET, "PUT", "DELETE", "OPTIONS", "TRACE") for path in PATHS]
    found += [request("POST", "/v1/score", JSON, header, body=BODIES[3]) for header in HEADERS]
    return [*found, *MALFORMED]


def send(service: Process, text: str) -> bytes:
    """The reply's first bytes; a client that has sent half a request goes away."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=1) as client:
        try:
            client.sendall(text.encode("latin-1"))
            return client.recv(2**12)
        except OSError:
            return b""


def test_log_and_metrics_hold_nothing_that_a_caller_sent(started: Callable[..., Process]) -> None:
    service = started()
    replies = [send(service, text) for text in requests()]
    assert len({reply[9:12] for reply in replies}) >= 6, "many kinds of replies"
    metrics = httpx.get(f"{service.address}/metrics").text
    service.stop()
    log = (service.folder.parent / f"{service.folder.name}.log").read_text()
    # The address is printed for people; the rest is the log.
    banner, *lines = log.splitlines()
    assert banner.startswith("API ")
    assert len(lines) > 100
    for line in lines:
        assert {"time", "level", "event"} <= set(json.loads(line)), line
    assert SECRET not in log.lower()
    assert SECRET not in metrics.lower()
