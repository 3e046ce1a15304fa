"""A full disk, a read-only disk, a lock and a database that is gone: 503 with a remedy, and nothing acknowledged.

Every writing route is tried through a real service in a process of its own. Disks are tmpfs, which needs root.
"""

import resource
import secrets
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from processes import Process

pytestmark = pytest.mark.slow
TRUTH_SECONDS = 2.0
"""Time within which readiness has to follow."""


class Person:
    """Ada, with an answer, a question open and an appeal: everything that a writing route needs."""

    def __init__(self, http: httpx.Client) -> None:
        self.http, self.path = http, f"/v1/users/ada-{secrets.token_hex(3)}"
        self.answer(self.ask())
        self.open = self.ask()
        self.appeal = self._appealed().json()["appeal_id"]

    def ask(self) -> str:
        reply = self.http.post(f"{self.path}/questions", json={"rule": "random", "force": True})
        return str(reply.raise_for_status().json()["question_id"])

    def answer(self, question: str) -> httpx.Response:
        body = {"question_id": question, "choice": "left", "note": "x" * 1_000}
        return self.http.post(f"{self.path}/answers", json=body, headers={"Idempotency-Key": secrets.token_hex(8)})

    def _appealed(self) -> httpx.Response:
        body = {"prompt": "Basil?", "response": "Solution:", "note": "x" * 1_000}
        return self.http.post("/v1/appeals", json=body)

    def writes(self) -> dict[str, Callable[[], httpx.Response]]:
        """Each writing route, by name; erasing comes last."""
        http, path = self.http, self.path
        newcomer = f"/v1/users/new-{secrets.token_hex(3)}"
        rated = {"question_id": self.open, "side": "left", "level": "acceptable"}
        return {
            "questions": lambda: http.post(f"{newcomer}/questions", json={"rule": "random", "force": True}),
            "answers": lambda: self.answer(self.open),
            "anchors": lambda: http.post(f"{path}/anchors", json=rated),
            "undo": lambda: http.delete(f"{path}/answers/last"),
            "audits": lambda: http.post("/v1/audits"),
            "appeals": self._appealed,
            "verdict": lambda: http.post(f"/v1/appeals/{self.appeal}/verdict", json={"verdict": "uphold"}),
            "erase": lambda: http.delete(path),
        }

    def held(self) -> object:
        return self.http.get(f"{self.path}/export").json()


@contextmanager
def full(service: Process) -> Iterator[None]:
    """The disk has no byte left."""
    filler = service.folder.parent / "filler" if service.folder.parent.is_mount() else service.folder / "keel.db.filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    yield
    filler.unlink()


@contextmanager
def unwritable(service: Process) -> Iterator[None]:
    """The operating system lets the service write no byte more to any file."""
    before = resource.prlimit(service.serving, resource.RLIMIT_FSIZE)
    resource.prlimit(service.serving, resource.RLIMIT_FSIZE, (1, before[1]))
    yield
    resource.prlimit(service.serving, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(service: Process) -> Iterator[None]:
    """Another process holds the database."""
    holder = sqlite3.connect(service.folder / "keel.db", isolation_level=None, timeout=30)
    holder.execute("BEGIN EXCLUSIVE")
    yield
    holder.execute("ROLLBACK")
    holder.close()


@contextmanager
def gone(service: Process) -> Iterator[None]:
    """The database was moved away, its journal with it."""
    files = [service.folder / f"keel.db{suffix}" for suffix in ("", "-wal", "-shm")]
    for file in files:
        file.rename(file.with_suffix(".away" + file.suffix[3:]))
    yield
    for file in files:
        file.with_suffix(".away" + file.suffix[3:]).rename(file)


def check(service: Process, broken: Callable[[Process], object], says: str) -> None:
    """During the fault each write gets 503 and leaves nothing; after it all go on without a restart."""
    with httpx.Client(base_url=service.address, timeout=60) as http:
        person = Person(http)
        before = person.held()
        with broken(service):  # type: ignore[attr-defined]
            start = time.monotonic()
            detail = service.wait_until(503, TRUTH_SECONDS)
            assert says in detail
            for name, write in person.writes().items():
                reply = write()
                assert reply.status_code == 503, (name, reply.text)
                assert reply.headers["content-type"] == "application/problem+json"
                assert 1 <= int(reply.headers["Retry-After"]) <= 30
                assert says in reply.json()["detail"], name
            assert http.get("/health/live").status_code == 200
            print(f"{len(person.writes())} writes refused in {time.monotonic() - start:.1f} s")
        service.wait_until(200, TRUTH_SECONDS)
        assert person.held() == before
        for name, write in person.writes().items():
            assert write().status_code in (200, 201, 204), name


def test_a_full_disk(disk: Path, started: Callable[..., Process]) -> None:
    check(started(disk / "data"), full, "free some space")


def test_files_that_cannot_be_written(started: Callable[..., Process]) -> None:
    check(started(), unwritable, "the disk of the database")


def test_a_database_that_another_process_holds(started: Callable[..., Process]) -> None:
    check(started(), locked, "another process holds the database")


def test_a_database_that_was_moved_away(started: Callable[..., Process]) -> None:
    check(started(), gone, "removed or replaced")


def test_many_writes_to_a_locked_database_wait_no_longer_than_one(started: Callable[..., Process]) -> None:
    service = started()
    with httpx.Client(base_url=service.address, timeout=60) as http:
        people = [Person(http) for _ in range(6)]
        seconds: list[float] = []

        def answer(person: Person) -> None:
            start = time.monotonic()
            assert person.answer(person.open).status_code == 503
            seconds.append(time.monotonic() - start)

        with locked(service):
            threads = [threading.Thread(target=answer, args=[person]) for person in people]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert len(seconds) == len(people)
    assert max(seconds) < 8


def test_a_folder_that_is_read_only_at_start_is_named(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(AssertionError, match="ended"):
        Process(disk).start()
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    log = (disk.parent / "disk.log").read_text()
    assert "Read-only file system" in log
    assert "Traceback" not in log
