"""A fault between an erasure's commit and the end of its clean-up: the person stays gone, and their bytes go too.

A real service in a process of its own; disks are tmpfs, which needs root.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest
from processes import Process

from app.storage.sqlite_store import SqliteStore

pytestmark = pytest.mark.slow
TRACES = (b"zebediah", b"pelican")
PATH = "/v1/users/zebediah"
MEBIBYTE = 2**20
CAUGHT_UP_SECONDS = 20.0
"""Time within which the clean-up follows the end of the fault; pauses between attempts double."""


def padded(folder: Path, mebibytes: int) -> Path:
    """A data folder whose database holds so much of others that rebuilding it takes space and time."""

    async def make() -> None:
        store = SqliteStore(folder / "keel.db")
        await store.open()
        await store.close()

    folder.mkdir()
    asyncio.run(make())
    texts = ("candidates", "served_at", "arm", "profile_version", "basis_version", "phi", "rewards", "order", "person")
    columns = ", ".join(f'"{name}"' for name in ("tenant_id", "user_id", "ranking_id", *texts))
    with closing(sqlite3.connect(folder / "keel.db")) as db, db:
        for number in range(mebibytes):
            row = ("elsewhere", "bob", str(number), *["x" * MEBIBYTE, *"xxxxxxxx"])
            db.execute(f"insert into rankings ({columns}) values ({', '.join('?' * len(row))})", row)
    return folder


def known(http: httpx.Client) -> None:
    """Zebediah has answered."""
    for _ in range(5):
        asked = http.post(f"{PATH}/questions", json={"rule": "random", "force": True}).raise_for_status().json()
        body = {"question_id": asked["question_id"], "choice": "left", "note": "tell it like a pelican " * 40}
        http.post(f"{PATH}/answers", json=body).raise_for_status()


def left(folder: Path) -> list[bytes]:
    """Traces of the person in the database's files."""
    content = b"".join(path.read_bytes() for path in folder.glob("keel.db*"))
    return [trace for trace in TRACES if trace in content]


def unused_pages(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "keel.db")) as db:
        number: int = db.execute("PRAGMA freelist_count").fetchone()[0]
        return number


def wait_until_nothing_is_left(folder: Path) -> None:
    start = time.monotonic()
    while left(folder) or unused_pages(folder):
        assert time.monotonic() - start < CAUGHT_UP_SECONDS, left(folder)
        time.sleep(0.1)
    print(f"nothing left after {time.monotonic() - start:.1f} s")


def erase(http: httpx.Client) -> None:
    """The reply is 204, and the person is gone for everybody."""
    reply = http.delete(PATH)
    assert reply.status_code == 204, reply.text
    assert http.get(f"{PATH}/export").status_code == 404
    assert http.delete(PATH).status_code == 404


def fill(disk: Path, spare: int) -> Path:
    """A file that takes all but ``spare`` bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 2**12)
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - spare)
    return filler


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "killed and started"])
def test_a_disk_too_full_to_clean_up(disk: Path, started: Callable[..., Process], restart: bool) -> None:
    folder = padded(disk / "data", 8)
    service = started(folder)
    with httpx.Client(base_url=service.address, timeout=60) as http:
        known(http)
        filler = fill(disk, 2 * MEBIBYTE)
        erase(http)
        if restart:
            service.kill()
            service.start()
            assert http.get(f"{PATH}/export").status_code == 404
        assert unused_pages(folder) > 0, "the file could not be rebuilt"
        filler.unlink()
        wait_until_nothing_is_left(folder)
        known(http)


def test_a_backup_that_is_being_read(tmp_path: Path, started: Callable[..., Process]) -> None:
    folder = padded(tmp_path / "data", 1)
    service = started(folder)
    with httpx.Client(base_url=service.address, timeout=60) as http:
        known(http)
        reader = sqlite3.connect(folder / "keel.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("select count(*) from people").fetchone()
        erase(http)
        assert left(folder), "the journal could not be emptied"
        reader.execute("COMMIT")
        wait_until_nothing_is_left(folder)
        reader.close()


def test_kill_9_between_commit_and_clean_up(tmp_path: Path, started: Callable[..., Process]) -> None:
    folder = padded(tmp_path / "data", 100)
    service = started(folder)
    with httpx.Client(base_url=service.address, timeout=60) as http:
        known(http)

        def send() -> None:
            with suppress(httpx.TransportError):
                http.delete(PATH)

        deleting = threading.Thread(target=send)
        with closing(sqlite3.connect(folder / "keel.db")) as reader:
            deleting.start()
            while reader.execute("select count(*) from people where user_id = 'zebediah'").fetchone()[0]:
                pass
            service.kill()
            deleting.join()
            assert left(folder), "the clean-up had not ended"
        service.start()
        assert http.get(f"{PATH}/export").status_code == 404
        wait_until_nothing_is_left(folder)
