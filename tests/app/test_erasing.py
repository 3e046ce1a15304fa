"""An erasure that was committed stays, whatever fails after it, and its clean-up is caught up by itself."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from httpx import AsyncClient
from old_databases import old_database
from sqlite_utils.db import Database
from test_sqlite_store import content
from test_store import ADA, answer

from app.errors import StoreFailed
from app.storage import sqlite_cleaning
from app.storage.sqlite_registry import SqliteRegistry
from app.storage.sqlite_store import SqliteStore
from app.storage.store import PersonKey

TRACE = b"zebediah"
SECRET = PersonKey("local", "zebediah")
FAULTS = {
    "full": sqlite3.OperationalError("database or disk is full"),
    "held": sqlite3.OperationalError("database is locked"),
    "no memory": MemoryError(),
}
FAULTS["full"].sqlite_errorcode, FAULTS["full"].sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
FAULTS["held"].sqlite_errorcode, FAULTS["held"].sqlite_errorname = sqlite3.SQLITE_BUSY, "SQLITE_BUSY"


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(sqlite_cleaning, "PAUSES", (0.02,))
    store = SqliteStore(tmp_path / "keel.db")
    await store.open()
    for key in (ADA, SECRET):
        await store.visit(key)
    await store.append(ADA, answer())
    for position in range(1, 40):
        await store.append(SECRET, answer(position, f"key-{position}", "tell it like zebediah " * 50))
    yield store
    await store.close()


def failing(monkeypatch: pytest.MonkeyPatch, fault: BaseException, times: int) -> list[int]:
    """Rebuilding the file fails so many times; the list has an entry for each attempt."""
    rebuild, attempts = Database.vacuum, []

    def vacuum(db: Database) -> None:
        attempts.append(1)
        if len(attempts) <= times:
            raise fault
        rebuild(db)

    monkeypatch.setattr(Database, "vacuum", vacuum)
    return attempts


def due(folder: Path) -> int:
    """Erasures whose clean-up has not ended."""
    with closing(sqlite3.connect(folder / "keel.db")) as db:
        number: int = db.execute("select count(*) from clean_ups").fetchone()[0]
        return number


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_clean_up_that_fails_is_made_up_for_beside_the_work(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    attempts = failing(monkeypatch, FAULTS[fault], 3)
    await store.erase(SECRET)
    assert [person.key for person in await store.people("local")] == [ADA]
    assert due(tmp_path) == 1
    assert TRACE not in content(tmp_path), "rows are overwritten and the journal is emptied in any case"
    await store.append(ADA, answer(2))
    await until(lambda: due(tmp_path) == 0)
    assert len(attempts) == 4
    assert TRACE not in content(tmp_path)
    assert len(await store.log(ADA)) == 2
    await asyncio.sleep(0.1)
    assert len(attempts) == 4, "nothing is tried once it is done"


async def test_a_later_erasure_cleans_up_for_the_earlier_one(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_cleaning, "PAUSES", (60,))
    attempts = failing(monkeypatch, FAULTS["full"], 1)
    await store.erase(SECRET)
    await store.erase(ADA)
    assert len(attempts) == 2
    assert due(tmp_path) == 0
    assert TRACE not in content(tmp_path)


async def test_whoever_was_only_asked_is_cleaned_up_after_too(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = PersonKey("local", "wilhelmina")
    await store.visit(guest)
    attempts = failing(monkeypatch, FAULTS["full"], 1)
    await store.erase(guest)
    await until(lambda: due(tmp_path) == 0)
    assert len(attempts) == 2


async def test_the_next_start_cleans_up_and_starts_although_it_cannot(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = failing(monkeypatch, FAULTS["full"], 2)
    monkeypatch.setattr(sqlite_cleaning, "PAUSES", (60,))
    await store.erase(SECRET)
    for done in (False, True):
        again = SqliteStore(tmp_path / "keel.db")
        await again.open()
        assert (due(tmp_path) == 0) is done
        await again.close()
    assert len(attempts) == 3
    assert TRACE not in content(tmp_path)


ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"


async def test_a_stop_does_not_wait_until_a_large_file_is_rebuilt(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def vacuum(db: Database) -> None:
        begun.set()
        db.execute(ENDLESS).fetchone()

    other = SqliteStore(tmp_path / "keel.db")
    await other.open()
    with monkeypatch.context() as patch:
        patch.setattr(Database, "vacuum", vacuum)
        erasing = asyncio.create_task(other.erase(SECRET))
        await asyncio.to_thread(begun.wait, 10)
        erasing.cancel()
        async with asyncio.timeout(5):
            await other.close()
    assert due(tmp_path) == 1
    again = SqliteStore(tmp_path / "keel.db")
    await again.open()
    await again.close()
    assert due(tmp_path) == 0


async def test_erasures_of_0_1_0_are_cleaned_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = old_database("0.1.0", tmp_path)
    with closing(sqlite3.connect(old.file)) as db:
        assert db.execute("select count(*) from erasures").fetchone()[0]
    attempts = failing(monkeypatch, FAULTS["full"], 0)
    for _ in range(2):
        store = SqliteStore(old.file)
        await store.open()
        assert due(tmp_path) == 0
        await store.close()
    assert len(attempts) == 1


async def test_the_reply_to_an_erasure_is_204_once_it_is_committed(
    http: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent again it would get 404."""
    (await http.post("/v1/users/zebediah/questions", json={"force": True})).raise_for_status()

    async def fail(registry: SqliteRegistry) -> None:
        raise StoreFailed("the disk fails. Nothing was stored; send the request again")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteRegistry, "erasures", fail)
        failing(patch, FAULTS["full"], 1)
        assert (await http.delete("/v1/users/zebediah")).status_code == 204
        body = {"prompts": ["a"], "completions": ["b"]}
        assert "the disk fails" in (await http.post("/v1/score", json=body)).text, "erasures are heeded first"
    assert (await http.delete("/v1/users/zebediah")).status_code == 404
    assert "the disk fails" not in (await http.post("/v1/score", json=body)).text
