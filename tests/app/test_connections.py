"""Slow and silent clients, by real sockets: each is closed in time, and others are answered meanwhile."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from listening import serving

from app.http.api import create_app
from app.http.server import Server, config_of
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store

pytestmark = pytest.mark.slow

HEAD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LIMITS = {"head_seconds": 0.6, "body_seconds": 0.6, "idle_seconds": 2, "max_connections": 40}


@pytest.fixture
def address(tmp_path: Path, engine: Engine) -> Iterator[tuple[str, int]]:
    settings = Settings(data_dir=tmp_path, **LIMITS)
    app = create_app(settings, open_store(settings), engine)
    config = config_of(app, settings)
    config.port = 0
    server = Server(config, app.state.service)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[:2]
    server.should_exit = True
    thread.join()


def closed_after(client: socket.socket, trickle: bytes = b"") -> tuple[float, bytes]:
    """Seconds until the server closes, and what it said; ``trickle`` is sent every 50 ms."""
    start, said = time.monotonic(), b""
    client.settimeout(0.05)
    while time.monotonic() - start < 5:
        try:
            if trickle:
                client.sendall(trickle)
            received = client.recv(1000)
        except TimeoutError:
            continue
        except OSError:
            break
        if not received:
            break
        said += received
    return time.monotonic() - start, said


@pytest.mark.parametrize(
    ("sent", "trickle", "says"),
    [
        (b"", b"", b" 408 "),
        (b"GE", b"", b" 408 "),
        (HEAD, b"X: y\r\n", b" 408 "),
        (POST + b"Content-Length: 1000\r\n\r\n{", b"", b" 408 "),
        (POST + b"Content-Length: 1000\r\n\r\n{", b" ", b" 408 "),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", b" 408 "),
        (HEAD + b"\r\n", b"", b" 200 "),
        (HEAD + b"\r\nGET", b"", b" 200 "),
    ],
    ids=["silent", "half a line", "slow head", "no body", "slow body", "slow chunks", "idle", "half a second request"],
)
def test_a_client_that_does_nothing_is_closed_in_time(
    address: tuple[str, int], sent: bytes, trickle: bytes, says: bytes
) -> None:
    with socket.create_connection(address) as client:
        client.sendall(sent)
        seconds, said = closed_after(client, trickle)
    assert 0.3 < seconds < 4
    assert says in said


def still_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_many_silent_sockets_do_not_stop_others(address: tuple[str, int]) -> None:
    silent = [socket.create_connection(address) for _ in range(320)]
    start = time.monotonic()
    for _ in range(5):
        assert httpx.get(f"http://{address[0]}:{address[1]}/health/live", timeout=2).status_code == 200
    assert time.monotonic() - start < 2
    assert sum(still_open(client) for client in silent) <= LIMITS["max_connections"]
    for client in silent:
        client.close()


def test_a_service_that_may_open_few_files_keeps_some_for_its_work(tmp_path: Path) -> None:
    """Connections may take a third of them: the store, and what is just accepted, need files too."""
    with serving(tmp_path, files=120) as service, httpx.Client(base_url=service.address, timeout=30) as http:
        port = httpx.URL(service.address).port
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        for n in range(5):
            http.post(f"/v1/users/ada-{n}/questions", json={"force": True}).raise_for_status()
        with httpx.Client(base_url=service.address, timeout=30) as newcomer:
            newcomer.get("/health/ready").raise_for_status()
        assert sum(still_open(client) for client in silent) <= 120 // 3
        for client in silent:
            client.close()


def test_a_request_that_takes_longer_than_the_limits_is_answered(address: tuple[str, int]) -> None:
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=60) as client:
        for _ in range(2):
            text = " ".join(f"word{n}" for n in range(700)) + "."
            reply = client.post(
                "/v1/score", json={"prompts": ["Basil?"] * 4, "completions": [text + "x" * n for n in range(4)]}
            )
            assert reply.status_code in (200, 503)
            time.sleep(0.8)
            assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("chunked", [b"chunked", b"Chunked"])
def test_two_lengths_of_a_body_are_refused(address: tuple[str, int], chunked: bytes) -> None:
    with socket.create_connection(address) as client:
        client.sendall(POST + b"Content-Length: 5\r\nTransfer-Encoding: " + chunked + b"\r\n\r\n0\r\n\r\n")
        _, said = closed_after(client)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in said.lower()


LARGE = HEAD.replace(b"/health/live", b"/openapi.json") + b"\r\n"


def read_all(client: socket.socket) -> bytes:
    """What comes until the end, or until nothing comes for a second."""
    client.settimeout(1)
    said = bytearray()
    with suppress(OSError):
        while received := client.recv(2**16):
            said += received
    return bytes(said)


def test_a_client_that_does_not_read_its_replies_is_closed_in_time(address: tuple[str, int]) -> None:
    httpx.get(f"http://{address[0]}:{address[1]}/openapi.json", timeout=30).raise_for_status()
    with socket.create_connection(address) as one, socket.create_connection(address) as other:
        for client in (one, other):
            client.sendall(LARGE * 100)
        read = threading.Thread(target=lambda: replies.append(read_all(one)))
        replies: list[bytes] = []
        read.start()
        time.sleep(LIMITS["body_seconds"] + 2)
        read.join()
        cut = read_all(other)
    assert replies[0].count(b"HTTP/1.1 200 ") == 100, "who reads gets all"
    assert cut.startswith(b"HTTP/1.1 200 ")
    assert cut.count(b"HTTP/1.1 200 ") < 50, "more is sent than the system's buffers take"


def test_two_different_content_lengths_are_refused(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client:
        client.sendall(POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}    ")
        _, said = closed_after(client)
    assert said.startswith(b"HTTP/1.1 400 ")


MALFORMED = POST + b"X-Request-Id: mine\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n"
REFUSALS = {
    "no HTTP": (b"\x16\x03\x01\r\n\r\n", 400, None),
    "head that never ends": (HEAD + b"X-Request-Id: mine\r\n", 408, None),
    "body that never ends": (POST + b"X-Request-Id: mine\r\nContent-Length: 9\r\n\r\n{", 408, "mine"),
    "body without a name": (POST + b"Content-Length: 9\r\n\r\n{", 408, None),
    "body that is malformed": (MALFORMED, 400, "mine"),
}


def counted(address: tuple[str, int], status: int) -> float:
    """Requests for no route that were answered so."""
    text = httpx.get(f"http://{address[0]}:{address[1]}/metrics").text
    line = f'keel_requests_total{{method="any",route="unknown",status="{status}"}} '
    return next((float(one.removeprefix(line)) for one in text.splitlines() if one.startswith(line)), 0.0)


def lines(log: pytest.LogCaptureFixture, status: int) -> list[object]:
    """The ids of requests for no route that were answered so, as the log has them."""
    fields = [getattr(record, "fields", {}) for record in log.records if record.message == "request"]
    return [one["request_id"] for one in fields if (one["route"], one["status"]) == ("unknown", status)]


def named(said: bytes) -> str:
    """The id in the one reply, header and body."""
    head, _, body = said.partition(b"\r\n\r\n")
    headers = httpx.Headers([tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[1:]])
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["request_id"] == headers["x-request-id"]
    return headers["x-request-id"]


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_below_http_has_an_id_and_is_counted_and_logged_once(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture, case: str
) -> None:
    sent, status, own = REFUSALS[case]
    caplog.set_level(logging.INFO, "keel")
    before = counted(address, status)
    with socket.create_connection(address) as client:
        client.sendall(sent)
        _, said = closed_after(client)
    assert said.startswith(b"HTTP/1.1 %d " % status)
    request_id = named(said)
    assert request_id == own or (own is None and len(request_id) == 32)
    assert counted(address, status) == before + 1
    assert lines(caplog, status) == [request_id]


def test_a_refusal_for_lack_of_room_has_an_id_and_is_counted(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "keel")
    working = [socket.create_connection(address) for _ in range(LIMITS["max_connections"])]
    for client in working:
        client.sendall(POST + b"Content-Length: 1000\r\n\r\n{")
    time.sleep(0.2)
    with socket.create_connection(address) as one_more:
        _, said = closed_after(one_more)
    for client in working:
        client.close()
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in said
    assert lines(caplog, 503) == [named(said)]
    assert counted(address, 503) == 1
