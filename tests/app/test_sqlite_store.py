"""What the SQLite store keeps in its file: bytes, shape and order, also when processes are killed or share it."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database
from test_store import ADA, answer

from app.storage.migrations import MIGRATIONS
from app.storage.sqlite_store import SqliteStore
from app.storage.store import Answer, PersonKey

IMPERSONAL = {"audits", "clean_ups", "keys", "served", "erasures"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "keel.db")
    await store.open()
    yield store
    await store.close()


async def test_erasing_leaves_no_byte_of_the_person_in_any_file(store: SqliteStore, tmp_path: Path) -> None:
    secret = PersonKey("local", "zebediah-unforgettable")
    await store.visit(secret)
    for position in range(1, 40):
        await store.append(secret, answer(position, f"key-{position}-quokka", "tell it like a pelican " * 50))
    traces = (b"zebediah", b"quokka", b"pelican")
    assert any(trace in content(tmp_path) for trace in traces)
    await store.erase(secret)
    assert not [trace for trace in traces if trace in content(tmp_path)]


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_the_log_cannot_be_rewritten(store: SqliteStore, tmp_path: Path) -> None:
    await store.visit(ADA)
    await store.append(ADA, answer())
    connection = sqlite3.connect(tmp_path / "keel.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("update answer_log set choice = 'right'")
    connection.close()


async def test_a_second_opening_finds_everything(store: SqliteStore, tmp_path: Path) -> None:
    await store.visit(ADA)
    await store.append(ADA, answer())
    again = SqliteStore(tmp_path / "keel.db")
    await again.open()
    assert await again.log(ADA) == await store.log(ADA)
    await again.close()


def test_a_failed_migration_leaves_neither_its_changes_nor_its_record(tmp_path: Path) -> None:
    db = Database(tmp_path / "keel.db")
    db.execute("create table audits (something text)")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        MIGRATIONS.apply(db)
    assert [migration.name for migration in MIGRATIONS.applied(db)] == ["people_questions_answers"]
    db.execute("drop table audits")
    MIGRATIONS.apply(db)
    assert not MIGRATIONS.pending(db)
    db.close()


def test_every_table_of_personal_data_is_keyed_by_tenant_and_user(tmp_path: Path) -> None:
    db = Database(tmp_path / "keel.db")
    MIGRATIONS.apply(db)
    personal = {table.name for table in db.tables if not table.name.startswith("_")} - IMPERSONAL
    assert personal
    for name in personal:
        assert db.table(name).pks[:2] == ["tenant_id", "user_id"], name
    db.close()


WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, "tests/app")
from test_store import ADA, SqliteStore, answer

async def write():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await store.visit(ADA)
    position = len(await store.log(ADA))
    while True:
        position += 1
        await store.append(ADA, answer(position))
        print(position, flush=True)

asyncio.run(write())
"""


def last_acknowledged_before_kill(database: Path, answers: int) -> int:
    """Position of the last answer that a writer acknowledged before SIGKILL, which comes after so many answers."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(answers)]
        writer.kill()
        return [*acknowledged, *map(int, writer.stdout.read().split())][-1]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(60, marks=pytest.mark.soak)])
async def test_an_acknowledged_answer_survives_killed_processes(tmp_path: Path, kills: int) -> None:
    """Writers of one log are killed in mid-flight, one after the other; all that they had acknowledged is there."""
    for kill in range(kills):
        database = tmp_path / "keel.db"
        last = await asyncio.to_thread(last_acknowledged_before_kill, database, 25 + kill % 7)
        store = SqliteStore(database)
        await store.open()
        positions = [entry.position for entry in await store.log(ADA)]
        assert positions == list(range(1, len(positions) + 1))
        assert last <= len(positions) <= last + 1
        await store.close()


NEWCOMERS = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, "tests/app")
from test_store import PersonKey, SqliteStore, answer, question

async def write(database, kill):
    store = SqliteStore(Path(database))
    await store.open()
    for number in range(100_000):
        key = PersonKey("local", f"{kill}-{number}")
        await store.visit(key)
        await store.add_question(key, question())
        await store.append(key, answer())
        print(key.user_id, flush=True)

asyncio.run(write(*sys.argv[1:]))
"""


def acknowledged_before_kill(database: Path, kill: int, answers: int) -> list[str]:
    """Names of those whose first answers a writer acknowledged before SIGKILL, which comes after so many."""
    command = [sys.executable, "-c", NEWCOMERS, str(database), str(kill)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        names = [writer.stdout.readline().strip() for _ in range(answers)]
        writer.kill()
        return [*names, *writer.stdout.read().split()]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.soak)])
async def test_a_first_answer_makes_a_person_wholly_or_not_at_all(tmp_path: Path, kills: int) -> None:
    database, acknowledged = tmp_path / "keel.db", set()
    for kill in range(kills):
        acknowledged |= set(await asyncio.to_thread(acknowledged_before_kill, database, kill, 25 + kill % 7))
    store = SqliteStore(database)
    await store.open()
    people = [person.key for person in await store.people("local")]
    held = [(len(await store.questions(key)), len(await store.log(key))) for key in people]
    await store.close()
    assert acknowledged <= {key.user_id for key in people}
    assert len(people) - len(acknowledged) <= kills
    assert held == [(1, 1)] * len(people)
    with closing(sqlite3.connect(database)) as db:
        names = "select user_id from people intersect select user_id from visits"
        assert db.execute(names).fetchall() == []


ROUNDS, EACH = 5, 20


APPENDER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, "tests/app")
from test_sqlite_store import EACH, ROUNDS
from test_store import ADA, Conflict, SqliteStore, answer

async def append(database, name):
    store = SqliteStore(Path(database))
    await store.open()
    await store.visit(ADA)
    mine = 0
    for number in range(1, ROUNDS + 1):
        print("ready", flush=True)
        sys.stdin.readline()
        while mine < number * EACH:
            due = len(await store.log(ADA)) + 1
            try:
                await store.append(ADA, answer(due, key=f"{name}-{mine}"))
                mine += 1
            except Conflict:
                pass
    await store.close()

asyncio.run(append(*sys.argv[1:]))
"""


def append_together(database: Path) -> list[int]:
    """Exit codes of two processes that append to one person's log; every round begins in both at the same moment."""
    command = [sys.executable, "-c", APPENDER, str(database)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen([*command, "one"], **pipes) as one,
        subprocess.Popen([*command, "two"], **pipes) as two,
    ):
        for _ in range(ROUNDS):
            assert [writer.stdout.readline() for writer in (one, two)] == ["ready\n", "ready\n"]
            for writer in (one, two):
                writer.stdin.write("\n")
                writer.stdin.flush()
        return [writer.wait(60) for writer in (one, two)]


@pytest.mark.slow
async def test_two_processes_on_one_database_lose_no_answer_and_log_none_twice(tmp_path: Path) -> None:
    assert await asyncio.to_thread(append_together, tmp_path / "keel.db") == [0, 0]
    store = SqliteStore(tmp_path / "keel.db")
    await store.open()
    log = await store.log(ADA)
    assert [entry.position for entry in log] == list(range(1, 2 * ROUNDS * EACH + 1))
    keys = [entry.idempotency_key for entry in log if isinstance(entry, Answer)]
    assert sorted(keys) == sorted(f"{name}-{i}" for name in ("one", "two") for i in range(ROUNDS * EACH))
    await store.close()
