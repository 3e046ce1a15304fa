"""Every hostile request and folder found so far, again: each is refused or answered, in time, and others are served."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from urllib.parse import urlsplit

import pytest
from folders import FOLDERS
from hostile import CORPUS, Hostile
from listening import Served, serving
from stalls import probed

from app.profiles.basis import open_artifact
from elicitation.errors import KeelError
from reward_bases.artifact import DEFAULT

SECONDS = 20
"""For one reply. The slowest takes 2 s on two idle cores."""
SMALL_REPLY = 20_000
STALL_SECONDS = 0.2
"""By which the service may delay one reply of its health."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("corpus"), OMP_NUM_THREADS="1") as served:
        yield served


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


@pytest.mark.slow
@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.fault)
def test_a_hostile_request_is_answered(served: Served, hostile: Hostile) -> None:
    start = time.monotonic()
    with probed(served.address, served.pid) as stalls:
        reply = sent(served.address, hostile.request)
    assert time.monotonic() - start < SECONDS
    assert reply.startswith(f"HTTP/1.1 {hostile.status} ".encode()), reply[:500]
    assert hostile.status < 500
    assert len(reply) < SMALL_REPLY
    assert max(stalls) < STALL_SECONDS


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
