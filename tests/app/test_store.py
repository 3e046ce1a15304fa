"""The Store's contract: what any storage of people's answers must keep, run against each of STORES."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import Conflict, NotFound
from app.storage.appeals import Appeal
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

STORES: dict[str, Callable[[Path, VisitLimits], Store]] = {
    "sqlite": lambda folder, limits: SqliteStore(folder / "keel.db", limits)
}
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
