"""Slow and silent clients, by real sockets: each is closed in time, and others are answered meanwhile."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

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


def test_two_different_content_lengths_are_refused(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client:
        client.sendall(POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}    ")
        _, said = closed_after(client)
    assert said.startswith(b"HTTP/1.1 400 ")
