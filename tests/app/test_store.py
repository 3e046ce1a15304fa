"""The Store's contract: what any storage of people's answers must keep, run against each of STORES."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from app.errors import Conflict, NotFound
from app.storage.appeals import Appeal
from app.storage.migrations import MIGRATIONS
from app.storage.sqlite_store import SqliteStore
from app.storage.store import (
    AnchorRating,
    Answer,
    AuditReport,
    Correction,
    Entry,
    PersonKey,
    Question,
    Store,
    VisitLimits,
    active_answers,
    now,
)
from elicitation.anchors import Level
from elicitation.choice import Choice, Strength

IMPERSONAL = {"audits", "clean_ups", "keys", "served", "erasures"}
STORES: dict[str, Callable[[Path, VisitLimits], Store]] = {
    "sqlite": lambda folder, limits: SqliteStore(folder / "keel.db", limits)
}
SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""Of tests that look into SQLite's file."""
USUAL = VisitLimits()
AT_ONCE = VisitLimits(hours=1e-9)
"""Every visit is over as soon as it has begun."""
ADA, BOB = PersonKey("local", "ada"), PersonKey("local", "bob")


def question(number: int = 1, asked_after: int = 0, prompt_id: str | None = None) -> Question:
    return Question(
        question_id=f"q_{number}",
        number=number,
        asked_after=asked_after,
        prompt_id=prompt_id or f"prompt {number}",
        conversation=({"role": "user", "content": "How?"},),
        left_id="a",
        right_id="b",
        left="Like this.",
        right="Or like that.",
        left_digest="0",
        right_digest="1",
        rule="iopt",
        seed=7,
        expected_gain=0.5,
        unit="nats",
        bank_version="bank",
        basis_version="basis",
        population_version="population",
        profile_version="0-abc",
        asked_at=now(),
    )


def answer(position: int = 1, key: str | None = None, note: str | None = None) -> Answer:
    return Answer(
        position=position,
        answer_id=f"a_{position}",
        question_id="q_1",
        choice=Choice.LEFT,
        strength=Strength.CLEAR,
        note=note,
        predicted=(0.5, 0.25, 0.25),
        idempotency_key=key,
        request_digest="d",
        logged_at=now(),
    )


def appeal() -> Appeal:
    return Appeal("p_1", "ada", ({"role": "user", "content": "How?"},), "ok", "0", ("trivial",), None, now())


def correction(position: int, answer_id: str) -> Correction:
    return Correction(position, answer_id, None, "d", now())


@asynccontextmanager
async def opened(kind: str, folder: Path, limits: VisitLimits = USUAL) -> AsyncIterator[Store]:
    """One of STORES on what is in a folder."""
    store = STORES[kind](folder, limits)
    await store.open()
    yield store
    await store.close()


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as store:
        yield store


async def test_an_unknown_person_is_not_found(store: Store) -> None:
    for read in (store.find([ADA]), store.append(ADA, answer()), store.erase(ADA), store.add_question(ADA, question())):
        with pytest.raises(NotFound, match="ada"):
            await read


async def test_visiting_twice_is_one_visit_and_the_first_entry_makes_it_the_person(store: Store) -> None:
    first, second = await store.visit(ADA), await store.visit(ADA)
    assert first == second
    await store.append(ADA, answer())
    assert await store.people("local") == await store.find([ADA]) == [await store.visit(ADA)]
    assert await store.people("local") == [replace(first, position=1)]


async def test_a_visit_is_known_and_is_nobody_of_the_tenant(store: Store) -> None:
    visitor = await store.visit(ADA)
    await store.add_question(ADA, question())
    assert await store.find([ADA]) == [visitor]
    assert [asked.question_id for asked in await store.questions(ADA)] == ["q_1"]
    assert (await store.people("local"), await store.registry.tenants()) == ([], [])


Act = Callable[[Store], Awaitable[object]]
ENTRIES: dict[str, Act] = {
    "answer": lambda store: store.append(ADA, answer()),
    "rating": lambda store: store.add_anchor_rating(ADA, rating()),
    "appeal": lambda store: store.appeals.add(ADA.tenant_id, appeal()),
}
REFUSED: dict[str, Act] = {
    "answer": lambda store: store.append(ADA, answer(2)),
    "question": lambda store: store.add_question(ADA, question(asked_after=5)),
}


@pytest.mark.parametrize("entry", ENTRIES)
async def test_any_entry_makes_a_visit_a_person_who_keeps_their_question(store: Store, entry: str) -> None:
    with pytest.raises(NotFound, match="ada"):
        await ENTRIES[entry](store)
    visitor = await store.visit(ADA)
    await store.add_question(ADA, question())
    await ENTRIES[entry](store)
    (person,) = await store.people("local")
    assert (person.person_uid, person.created_at) == (visitor.person_uid, visitor.created_at)
    assert len(await store.questions(ADA)) == 1
    assert await store.registry.tenants() == ["local"]


@pytest.mark.parametrize("entry", REFUSED)
async def test_what_is_refused_makes_nobody_a_person(store: Store, entry: str) -> None:
    visitor = await store.visit(ADA)
    with pytest.raises(Conflict):
        await REFUSED[entry](store)
    assert (await store.people("local"), await store.find([ADA])) == ([], [visitor])


@pytest.mark.parametrize("kind", STORES)
async def test_a_visit_that_is_over_is_unknown_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        for key in (ADA, BOB):
            await store.visit(key)
            await store.add_question(key, question())
        await store.append(BOB, answer())
    async with opened(kind, tmp_path, AT_ONCE) as store:
        for entry in (*ENTRIES.values(), *REFUSED.values(), lambda store: store.erase(ADA)):
            with pytest.raises(NotFound, match="ada"):
                await entry(store)
        with pytest.raises(NotFound):
            await store.visit(PersonKey("elsewhere", "eve"))
        assert await store.questions(ADA) == []
        assert [person.key for person in await store.people("local")] == [BOB]
        assert len(await store.questions(BOB)) == 1
    async with opened(kind, tmp_path) as store:
        with pytest.raises(NotFound, match="ada"):
            await store.find([ADA])


@pytest.mark.parametrize("kind", STORES)
async def test_a_tenant_has_so_many_visits_and_the_oldest_go_first(kind: str, tmp_path: Path) -> None:
    names = [PersonKey("local", f"visitor-{i}") for i in range(8)]
    stranger = PersonKey("elsewhere", "visitor-0")
    async with opened(kind, tmp_path, VisitLimits(most=3)) as store:
        for key in (stranger, ADA, *names):
            await store.visit(key)
            await store.add_question(key, question())
            if key == ADA:
                await store.append(ADA, answer())
        assert len(await store.find([*names[-3:], stranger, ADA])) == 5
        assert [len(await store.questions(key)) for key in names] == [0] * 5 + [1] * 3
        for key in names[:-3]:
            with pytest.raises(NotFound, match=key.user_id):
                await store.find([key])


async def test_of_simultaneous_visits_one_begins(store: Store) -> None:
    found = await asyncio.gather(*(store.visit(ADA) for _ in range(8)))
    assert len({visitor.person_uid for visitor in found}) == 1


async def test_erasing_a_visit_leaves_nothing_and_notes_no_erasure(store: Store) -> None:
    visitor = await store.visit(ADA)
    await store.add_question(ADA, question())
    await store.erase(ADA)
    assert (await store.questions(ADA), await store.registry.erasures()) == ([], [])
    assert (await store.visit(ADA)).person_uid != visitor.person_uid


async def test_what_is_written_is_read_back_unchanged(store: Store) -> None:
    await store.visit(ADA)
    entries: list[Entry] = [answer(1, "k", "shorter, é 🙂"), correction(2, "a_1")]
    await store.add_question(ADA, question())
    for entry in entries:
        await store.append(ADA, entry)
    assert [replace(q, asked_at="") for q in await store.questions(ADA)] == [replace(question(), asked_at="")]
    assert await store.log(ADA) == entries
    assert (await store.find([ADA]))[0].position == 2


async def test_the_log_takes_only_the_next_position(store: Store) -> None:
    await store.visit(ADA)
    await store.append(ADA, answer(1))
    for position in (1, 3):
        with pytest.raises(Conflict, match="2 was due"):
            await store.append(ADA, answer(position))
    assert len(await store.log(ADA)) == 1


async def test_of_simultaneous_answers_exactly_one_is_stored(store: Store) -> None:
    await store.visit(ADA)
    outcomes = await asyncio.gather(*(store.append(ADA, answer(1)) for _ in range(8)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(type(None)) == 1
    assert len(await store.log(ADA)) == 1


async def test_an_idempotency_key_serves_one_entry(store: Store) -> None:
    await store.visit(ADA)
    await store.append(ADA, answer(1, "k"))
    with pytest.raises(Conflict, match="Idempotency-Key"):
        await store.append(ADA, answer(2, "k"))


def rating(number: int = 1, key: str | None = None) -> AnchorRating:
    conversation = ({"role": "user", "content": "How?"},)
    return AnchorRating(f"r_{number}", 0, conversation, "Like this.", Level.EXCELLENT, key, "d", now())


async def test_ratings_come_back_as_they_were_stored_to_their_person_alone(store: Store) -> None:
    with pytest.raises(NotFound, match="ada"):
        await store.add_anchor_rating(ADA, rating())
    for key in (ADA, BOB):
        await store.visit(key)
    kept = [rating(1, "k"), rating(2), rating(3)]
    for one in kept:
        await store.add_anchor_rating(ADA, one)
    assert await store.anchor_ratings(ADA) == kept
    assert await store.anchor_ratings(BOB) == []
    with pytest.raises(Conflict, match="Idempotency-Key"):
        await store.add_anchor_rating(ADA, rating(4, "k"))
    await store.erase(ADA)
    assert await store.anchor_ratings(ADA) == []


async def test_a_prompt_is_asked_once_and_only_of_the_current_log(store: Store) -> None:
    await store.visit(ADA)
    await store.add_question(ADA, question(1))
    await store.append(ADA, answer(1))
    with pytest.raises(Conflict, match="asked before"):
        await store.add_question(ADA, question(2, asked_after=1, prompt_id="prompt 1"))
    with pytest.raises(Conflict, match="1 entries, not 5"):
        await store.add_question(ADA, question(3, asked_after=5))


async def test_nothing_is_asked_while_a_question_waits(store: Store) -> None:
    await store.visit(ADA)
    await store.add_question(ADA, question(1))
    with pytest.raises(Conflict, match="'q_1' waits for its answer"):
        await store.add_question(ADA, question(2))
    await store.append(ADA, answer(1))
    await store.add_question(ADA, question(2, asked_after=1))
    await store.append(ADA, correction(2, "a_1"))
    with pytest.raises(Conflict, match="'q_1' waits for its answer"):
        await store.add_question(ADA, question(3, asked_after=2))
    assert [q.question_id for q in await store.questions(ADA)] == ["q_1", "q_2"]


@pytest.mark.parametrize("kind", STORES)
async def test_an_appeal_that_another_process_stores_during_an_erasure_does_not_stay(tmp_path: Path, kind: str) -> None:
    one, two = (STORES[kind](tmp_path, VisitLimits()) for _ in range(2))
    await one.open()
    await two.open()
    for n in range(40):
        await one.visit(ADA)
        ends = await asyncio.gather(
            two.appeals.add("local", replace(appeal(), appeal_id=f"p_{n}")), one.erase(ADA), return_exceptions=True
        )
        assert {type(end) for end in ends} <= {type(None), NotFound}
        assert await one.appeals.all("local") == []
    await one.close()
    await two.close()


async def test_people_and_tenants_do_not_see_each_other(store: Store) -> None:
    stranger = PersonKey("elsewhere", "ada")
    for key in (ADA, BOB, stranger):
        await store.visit(key)
    await store.add_question(ADA, question())
    await store.append(ADA, answer())
    for key in (BOB, stranger):
        assert (await store.questions(key), await store.log(key)) == ([], [])
    await store.append(stranger, answer())
    assert [person.key for person in await store.people("elsewhere")] == [stranger]


async def test_a_correction_takes_back_one_answer() -> None:
    log: list[Entry] = [answer(1), answer(2), correction(3, "a_2"), answer(4)]
    assert [a.position for a in active_answers(log)] == [1, 4]
    assert [a.position for a in active_answers(log[:2])] == [1, 2]


async def test_erasing_leaves_the_others_and_a_newcomer_of_the_same_name_is_somebody_else(store: Store) -> None:
    before = await store.visit(ADA)
    await store.append(ADA, answer())
    await store.visit(BOB)
    await store.append(BOB, answer())
    await store.erase(ADA)
    with pytest.raises(NotFound):
        await store.find([ADA])
    assert len(await store.log(BOB)) == 1
    assert (await store.visit(ADA)).person_uid != before.person_uid


@SQLITE
async def test_erasing_leaves_no_byte_of_the_person_in_any_file(store: Store, tmp_path: Path) -> None:
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


async def test_audits_are_found_by_hash_and_the_latest_by_age(store: Store) -> None:
    with pytest.raises(NotFound, match="POST /v1/audits"):
        await store.audit("local", None)
    reports = [AuditReport(f"{n}" * 64, now(), {"n": n}) for n in range(2)]
    for report in reports:
        await store.add_audit("local", report)
    assert await store.audit("local", None) == reports[1]
    assert await store.audit("local", "0" * 64) == reports[0]
    with pytest.raises(NotFound):
        await store.audit("elsewhere", "0" * 64)
    await store.add_audit("local", reports[0])
    assert await store.audit("local", None) == reports[0]


async def test_audits_that_show_few_people_go_with_an_erasure_and_others_stay(store: Store) -> None:
    def report(name: str, n: int, value: float | None, number: int = 1) -> AuditReport:
        return AuditReport(name * 64, now(), {"findings": [{"number": number, "n": n, "value": value}]})

    kept = [report("a", 5, 0.3), report("b", 1, None), report("c", 3, 0.1, number=10), report("d", 0, 0.2)]
    gone = [report("e", 1, 0.3), report("f", 4, 0.0)]
    for one in [*kept, *gone]:
        await store.add_audit("local", one)
        await store.add_audit("elsewhere", one)
    await store.visit(ADA)
    await store.erase(ADA)
    assert [one.audit_id for one in await store.audits("local", 10)] == [one.audit_id for one in kept]
    assert len(await store.audits("elsewhere", 10)) == len(kept) + len(gone)


@SQLITE
async def test_the_log_cannot_be_rewritten(store: Store, tmp_path: Path) -> None:
    await store.visit(ADA)
    await store.append(ADA, answer())
    connection = sqlite3.connect(tmp_path / "keel.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("update answer_log set choice = 'right'")
    connection.close()


@SQLITE
async def test_a_second_opening_finds_everything(store: Store, tmp_path: Path) -> None:
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
from test_store import ADA, EACH, ROUNDS, Conflict, SqliteStore, answer

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
