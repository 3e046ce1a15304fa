"""Every hostile request and folder found so far, again: each is refused or answered, in time, and others are served."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from shutil import copytree
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from folders import FOLDERS
from hostile import CORPUS, Hostile
from listening import serving

from app.profiles.basis import open_artifact
from elicitation.errors import KeelError
from reward_bases.artifact import DEFAULT

SECONDS = 20
"""For one reply. The slowest takes 2 s on two idle cores."""
SMALL_REPLY = 20_000
HEALTH_SECONDS = 0.2
PROBE_EVERY = 0.01


class Answered(NamedTuple):
    """A reply in bytes, and the seconds that the slowest reply of health took meanwhile."""

    reply: bytes
    delay: float


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("corpus")) as address:
        yield address


def sent(address: str, request: bytes) -> bytes:
    """All that the service says until it closes, or has said the length it promised."""
    place = urlsplit(address)
    said = b""
    with socket.create_connection((place.hostname, place.port), timeout=SECONDS) as client:
        # The service may refuse and close before it has read everything.
        try:
            client.sendall(request)
            while not _whole(said) and (received := client.recv(2**16)):
                said += received
        except ConnectionError:
            pass
    return said


def _whole(said: bytes) -> bool:
    head, found, body = said.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found) and len(body) >= int(lengths[0].split(b":")[1]) if lengths else False


def answered(address: str, request: bytes) -> Answered:
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=address, timeout=SECONDS) as client:
        client.get("/health/live")
        reply = pool.submit(sent, address, request)
        delay = max(_delays(client, reply))
        return Answered(reply.result(), delay)


def _delays(client: httpx.Client, reply: Future[bytes]) -> Iterator[float]:
    first = True
    while first or not reply.done():
        start, first = time.perf_counter(), False
        client.get("/health/live").raise_for_status()
        yield time.perf_counter() - start
        time.sleep(PROBE_EVERY)


@pytest.mark.slow
@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.fault)
def test_a_hostile_request_is_answered(address: str, hostile: Hostile) -> None:
    start = time.monotonic()
    found = answered(address, hostile.request)
    assert time.monotonic() - start < SECONDS
    assert found.reply.startswith(f"HTTP/1.1 {hostile.status} ".encode()), found.reply[:500]
    assert hostile.status < 500
    assert len(found.reply) < SMALL_REPLY
    # Other work shares the test machine: the best of three counts.
    delays = [found.delay]
    while min(delays) >= HEALTH_SECONDS and len(delays) < 3:
        delays.append(answered(address, hostile.request).delay)
    assert min(delays) < HEALTH_SECONDS, delays


@pytest.mark.parametrize("fault", FOLDERS)
def test_a_hostile_folder_is_refused(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "basis"
    copytree(DEFAULT, folder)
    open_artifact(folder)
    FOLDERS[fault](folder)
    start = time.monotonic()
    with pytest.raises(KeelError) as refused:
        open_artifact(folder)
    assert time.monotonic() - start < SECONDS
    assert 0 < len(str(refused.value)) < 2_000


def test_each_fault_stands_once() -> None:
    faults = [hostile.fault for hostile in CORPUS]
    assert len(faults) == len(set(faults))
