"""A stop: what was accepted is answered, nobody new is taken, and all has ended within ten seconds."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from answering import Crowd
from processes import Process, free_port
from test_killed import answers_of

from app.settings import Settings

pytestmark = pytest.mark.slow
STOP_SECONDS = 10


def words(count: int, name: object) -> str:
    """A text that the gate lets pass, as no two words of it are equal."""
    return " ".join(f"pelican{n}of{name}" for n in range(count))


def score(service: Process, texts: list[str], replies: list[Any]) -> None:
    body = {"prompts": ["Basil?"] * len(texts), "completions": texts}
    try:
        replies.append(httpx.post(f"{service.address}/v1/score", json=body, timeout=60, verify=False).status_code)
    except httpx.TransportError as error:
        replies.append(error)


def wait_until_under_way(service: Process, requests: int, replies: list[Any]) -> None:
    """Until all requests of one text have come, answered ones included."""
    deadline = time.monotonic() + STOP_SECONDS
    while len(replies) + waiting(service) < requests:
        assert time.monotonic() < deadline


def waiting(service: Process) -> float:
    """Texts that wait for the encoder or are at it."""
    lines = service.http.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("keel_queue_texts "))


def refused(service: Process) -> bool:
    try:
        socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_are_answered(started: Callable[..., Process], number: signal.Signals) -> None:
    service, replies = started(), []
    assert service.child is not None
    texts = [[words(120, sender)] for sender in range(8)]
    senders = [threading.Thread(target=score, args=[service, text, replies]) for text in texts]
    for sender in senders:
        sender.start()
    wait_until_under_way(service, len(senders), replies)
    start = time.monotonic()
    assert len(replies) < len(senders), "requests have to be under way"
    service.child.send_signal(number)
    time.sleep(0.4)
    assert refused(service)
    service.child.wait(STOP_SECONDS)
    seconds = time.monotonic() - start
    for sender in senders:
        sender.join()
    print(f"{number.name}: ended after {seconds:.1f} s, replies {replies}")
    assert replies == [200] * len(senders)
    assert seconds < STOP_SECONDS


def test_who_connected_before_the_signal_may_still_send_a_request(started: Callable[..., Process]) -> None:
    service = started()
    assert service.child is not None
    clients = [socket.create_connection(("127.0.0.1", service.port), timeout=STOP_SECONDS) for _ in range(4)]
    service.http.get("/health/live").raise_for_status()
    service.child.send_signal(signal.SIGTERM)
    time.sleep(0.25)
    assert refused(service)
    for client in clients[:3]:
        with contextlib.suppress(OSError):
            client.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert [received(client) for client in clients] == [b"HTTP/1.1 200"] * 3 + [b""]
    service.child.wait(STOP_SECONDS)


def received(client: socket.socket) -> bytes:
    """The first bytes of a reply, or how the connection ended."""
    with client:
        try:
            return client.recv(2**16)[:12]
        except OSError as error:
            return type(error).__name__.encode()


def test_what_takes_longer_than_a_stop_is_refused_in_time(started: Callable[..., Process]) -> None:
    service, replies = started(None, "--no-ui", KEEL_MAX_WAITING_SECONDS="1000"), []
    texts = [words(1_500, n) for n in range(150)]
    sender = threading.Thread(target=score, args=[service, texts, replies])
    sender.start()
    time.sleep(2)
    assert service.stop() < STOP_SECONDS
    sender.join()
    assert replies == [503]


def test_answers_that_were_acknowledged_during_a_stop_are_there(started: Callable[..., Process]) -> None:
    service = started()
    with Crowd(service.address, 4) as crowd:
        while crowd.count < 20:
            time.sleep(0.02)
        assert service.stop() < STOP_SECONDS
    written = asyncio.run(answers_of(Settings(data_dir=service.folder)))
    assert not crowd.faults
    assert {(one.person, one.key) for one in crowd.acknowledged} <= set(written)
    assert len(written) == len(set(written))


def test_readiness_is_503_from_the_signal_on(started: Callable[..., Process]) -> None:
    """Asked over a connection that was there before: a new one is refused."""
    service = started()
    assert service.child is not None
    service.http.get("/health/ready").raise_for_status()
    service.child.send_signal(signal.SIGTERM)
    seen, deadline = [], time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            seen.append(service.http.get("/health/ready").status_code)
        except httpx.TransportError:
            break
    late = seen[seen.index(503) :] if 503 in seen else []
    assert set(late) <= {503}
    assert refused(service)
    service.child.wait(STOP_SECONDS)


def test_the_page_ends_with_the_service(tmp_path: Path, started: Callable[..., Process]) -> None:
    port = free_port()
    service = started(None, "--ui-port", str(port))
    assert service.child is not None
    page = children(service.child.pid)
    assert page
    assert service.stop() < STOP_SECONDS
    assert not [child for child in page if Path(f"/proc/{child}").exists()]


def children(pid: int) -> list[int]:
    if not Path("/proc/self/task").is_dir() or os.name != "posix":
        pytest.skip("children are listed in /proc")
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]
