"""Any sequence of uses of a store, by two processes in turn and at once, against a model in memory.

After every step the store is read through the process that did not write, and its tables are read without it.
"""

import asyncio
import itertools
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store_model import MANY, Model, View, view_of
from store_places import PLACES, Place
from store_uses import Use, appending, at_once, each, erasing, in_some_order, parts

from app.storage.appeals import Appeal, Verdict
from app.storage.registry import EVERY_SCOPE, Deployment, Key, Scope
from app.storage.store import (
    AnchorRating,
    Answer,
    AuditReport,
    Correction,
    Entry,
    Person,
    PersonKey,
    Question,
    Store,
    VisitLimits,
)
from app.storage.traffic import ServedRanking
from elicitation.anchors import Level
from elicitation.choice import Choice, Strength

TENANTS, USERS = ("acme", "borealis"), ("ada", "bob")
EVERYBODY = [PersonKey(tenant, user) for tenant in TENANTS for user in USERS]
TRACE = re.compile(r"trace-\w+-\d+\.")
"""Begins each text of one life, and names the tenant."""
FINDINGS = {name: {"number": 1, "n": 5, "value": 0.5} for name in MANY} | {
    "few 1": {"number": 1, "n": 4, "value": 0.0},
    "few 2": {"number": 2, "n": 1, "value": 0.3},
}
LIMITS = VisitLimits(most=1)
KEY = "a key of a client "
FEW_LOOKS = 3
"""Between a start and the next end of all processes: starting takes as long as several steps."""
FOUND, SHRUNK = [Phase.generate], [Phase.generate, Phase.shrink]
"""A failure as it was found, or its shortest form, which takes minutes to find."""

tenants = st.sampled_from(TENANTS)
people = st.sampled_from(EVERYBODY)
living = st.runner().flatmap(lambda machine: st.sampled_from([key for key in EVERYBODY if key in machine.model.known]))
strangers = st.runner().flatmap(lambda machine: st.sampled_from([k for k in EVERYBODY if k not in machine.model.known]))
idempotency_keys = st.sampled_from([None, None, "key 1", "key 2", "key 3"])
scopes = st.sampled_from([None, EVERY_SCOPE, frozenset({Scope.ELICIT, Scope.SCORE})])
words = st.sampled_from(["", "shorter, please", "é 🙂", "'; drop table people; --", "100 % of _\n"])
numbers = st.integers(0, 3)
"""Of things that one after the other get a number, so that most are there and some are not."""
rarely = st.sampled_from([False, False, False, True])

somebody_lives = precondition(lambda machine: machine.model.known)
somebody_is_missing = precondition(lambda machine: len(machine.model.known) < len(EVERYBODY))

something_happened = precondition(lambda machine: machine.looks > FEW_LOOKS)


class StoreMachine(RuleBasedStateMachine):
    """Rules use the store; invariants say what then holds."""

    def __init__(self, kind: str, folder: Path) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=folder)
        self.place: Place = PLACES[kind](Path(self.folder.name))
        self.loop = asyncio.Runner()
        self.model = Model(TENANTS, USERS, LIMITS.most)
        self.count = 0
        self.appeals = {tenant: itertools.count() for tenant in TENANTS}
        self.keys = itertools.count()
        self.logs: dict[str, list[Entry]] = {}
        self.first: dict[tuple[str, str], Entry] = {}
        self.open()

    def open(self) -> None:
        """Two processes begin to use the store."""
        self.stores: list[Store] = []
        self.looks = 0
        for _ in range(2):
            self.stores.append(self.place.store(LIMITS))
            self.loop.run(self.stores[-1].open())
        self.look()

    def close(self) -> None:
        for store in self.stores:
            self.loop.run(store.close())

    def teardown(self) -> None:
        self.close()
        self.loop.close()
        self.folder.cleanup()

    def look(self) -> None:
        """Read all there is; the process that read it is the next to write."""
        self.looks += 1
        self.stores.reverse()
        self.seen: View = self.loop.run(view_of(self.stores[0], TENANTS, USERS))
        self.rows = self.place.rows()

    def use(self, *uses: Use) -> None:
        """One use of the store, or one by each process at the same time, which must look like some order of them."""
        outcomes = self.loop.run(at_once([use.of_store(store) for use, store in zip(uses, self.stores, strict=False)]))
        self.look()
        possible = in_some_order(self.model, uses, outcomes)
        assert possible, f"no order of these uses has the outcomes {outcomes}"
        self.model = next((model for model in possible if model.view() == self.seen), possible[0])

    def visit(self, key: PersonKey) -> None:
        """To both processes at once, which see the same person."""
        person, again = self.loop.run(each(store.visit(key) for store in self.stores))
        assert person == again
        self.model.visit(person, f"trace-{key.tenant_id}-{self.number()}.")

    def number(self) -> int:
        self.count += 1
        return self.count

    def time(self, later: int = 0) -> str:
        return f"2026-01-01T00:00:{self.number() + later:06d}+00:00"

    def text(self, key: PersonKey, said: str) -> str:
        return f"{self.model.known[key].trace if key in self.model.known else ''} {said}"

    @initialize(keys=st.lists(people, min_size=1, max_size=2, unique=True))
    def somebody_is_there(self, keys: list[PersonKey]) -> None:
        for key in keys:
            self.visit(key)
            self.use(self.rating(key, None))

    @rule(key=people)
    def somebody_visits(self, key: PersonKey) -> None:
        self.visit(key)
        self.look()

    @somebody_is_missing
    @rule(key=strangers)
    def a_stranger_is_asked(self, key: PersonKey) -> None:
        self.visit(key)
        self.use(self.asking(key))

    @somebody_lives
    @rule(key=living, asked_before=rarely, late=rarely)
    def a_question_is_asked(self, key: PersonKey, asked_before: bool, late: bool) -> None:
        self.use(self.asking(key, asked_before, late))

    @somebody_lives
    @rule(key=living, idempotency_key=idempotency_keys, said=words, shift=st.sampled_from([0, 0, 0, 0, -1, 1]))
    def an_answer_is_given(self, key: PersonKey, idempotency_key: str | None, said: str, shift: int) -> None:
        self.use(self.answering(key, idempotency_key, said, shift))

    @somebody_lives
    @rule(key=living, idempotency_key=idempotency_keys)
    def the_last_answer_is_taken_back(self, key: PersonKey, idempotency_key: str | None) -> None:
        self.use(self.undoing(key, idempotency_key))

    @somebody_lives
    @rule(key=living)
    def a_question_waits_again_and_another_is_asked(self, key: PersonKey) -> None:
        self.use(self.answering(key, None))
        self.use(self.undoing(key, None))
        self.use(self.asking(key))

    @somebody_lives
    @rule(key=living, idempotency_key=idempotency_keys, said=words)
    def a_response_is_rated(self, key: PersonKey, idempotency_key: str | None, said: str) -> None:
        self.use(self.rating(key, idempotency_key, said))

    @somebody_lives
    @rule(key=living, days=numbers, erased_before=rarely)
    def a_ranking_is_served(self, key: PersonKey, days: int, erased_before: bool) -> None:
        self.use(self.ranking(key, days, erased_before))

    @somebody_lives
    @rule(key=living, said=words)
    def somebody_appeals(self, key: PersonKey, said: str) -> None:
        self.use(self.appealing(key.tenant_id, key.user_id, said))

    @rule(tenant=tenants, said=words)
    def an_appeal_names_nobody(self, tenant: str, said: str) -> None:
        self.use(self.appealing(tenant, None, said))

    @rule(tenant=tenants, number=numbers, verdict=st.sampled_from(Verdict))
    def an_appeal_is_decided(self, tenant: str, number: int, verdict: Verdict) -> None:
        given = (tenant, f"appeal {number}", verdict, self.time())
        self.use(Use(lambda store: store.appeals.resolve(*given), lambda model: model.resolve(*given)))

    @rule(tenant=tenants, audit_id=st.sampled_from(sorted(FINDINGS)))
    def an_audit_is_kept(self, tenant: str, audit_id: str) -> None:
        audit = AuditReport(audit_id, self.time(), {"findings": [FINDINGS[audit_id]]})
        self.use(Use(lambda store: store.add_audit(tenant, audit), lambda model: model.add_audit(tenant, audit)))

    @rule(key=people, bound=st.booleans(), maker=st.none() | numbers, expires=st.booleans(), scopes=scopes)
    def a_key_is_made(
        self, key: PersonKey, bound: bool, maker: int | None, expires: bool, scopes: frozenset[Scope] | None
    ) -> None:
        made = Key(
            f"{KEY}{next(self.keys)}",
            key.tenant_id,
            f"digest {self.number()}",
            self.time(),
            scopes=scopes,
            expires_at=self.time(later=10) if expires else None,
            bound_to=key.user_id if bound else None,
            made_by=None if maker is None else f"{KEY}{maker}",
            max_tokens=5 if bound else None,
        )
        self.use(Use(lambda store: store.registry.add_key(made), lambda model: model.add_key(made)))

    @rule(number=numbers)
    def a_key_is_revoked(self, number: int) -> None:
        given = (f"{KEY}{number}", self.time())
        self.use(Use(lambda store: store.registry.revoke_key(*given), lambda model: model.revoke_key(*given)))

    @rule(number=numbers)
    def an_artifact_is_served(self, number: int) -> None:
        given = (Deployment(f"artifact {number}", "basis", "population", self.time()), b"files %d" % self.number())
        self.use(Use(lambda store: store.registry.serve(*given), lambda model: model.serve(*given)))

    @rule(number=numbers)
    def an_artifact_is_retired(self, number: int) -> None:
        given = (f"artifact {number}", self.time())
        self.use(Use(lambda store: store.registry.retire(*given), lambda model: model.retire(*given)))

    @somebody_lives
    @rule(key=living)
    def somebody_is_erased(self, key: PersonKey) -> None:
        self.use(erasing(key))

    @somebody_is_missing
    @rule(key=strangers, data=st.data())
    def a_stranger_is_not_found(self, key: PersonKey, data: st.DataObject) -> None:
        self.use(self.some_use(key, data))

    @somebody_lives
    @rule(key=living, data=st.data())
    def two_processes_do_something_about_one_person(self, key: PersonKey, data: st.DataObject) -> None:
        self.use(self.some_use(key, data), self.some_use(key, data))

    @something_happened
    @rule(killed=st.booleans())
    def all_processes_end_and_others_start(self, killed: bool) -> None:
        if killed:
            self.place.kill()
        self.close()
        self.open()

    @invariant()
    def what_was_acknowledged_is_read_back_and_nothing_else(self) -> None:
        assert self.seen == self.model.view()

    @invariant()
    def a_log_only_grows(self) -> None:
        for person in self.everybody_seen():
            log, before = self.seen["log", *parts(person.key)], self.logs.get(person.person_uid, [])
            assert log[: len(before)] == before
            assert [entry.position for entry in log] == list(range(1, person.position + 1))
            self.logs[person.person_uid] = log

    @invariant()
    def at_most_one_question_was_never_answered(self) -> None:
        """An undo opens its question again; it may be one more."""
        for person in self.everybody_seen():
            log = self.seen["log", *parts(person.key)]
            answered = {entry.question_id for entry in log if isinstance(entry, Answer)}
            never = [q for q in self.seen["questions", *parts(person.key)] if q.question_id not in answered]
            assert len(never) <= 1

    @invariant()
    def an_idempotency_key_finds_the_entry_that_it_made_first(self) -> None:
        for person in self.everybody_seen():
            for entry in self.seen["log", *parts(person.key)]:
                if entry.idempotency_key is not None:
                    assert self.first.setdefault((person.person_uid, entry.idempotency_key), entry) == entry

    @invariant()
    def nobody_sees_another_tenants_rows(self) -> None:
        for (what, tenant, user), rows in self.seen.items():
            strange = {trace for trace in TRACE.findall(repr(rows)) if not trace.startswith(f"trace-{tenant}-")}
            assert not strange, (what, tenant, user)

    @invariant()
    def erased_people_leave_only_a_number(self) -> None:
        """Neither a text nor a row of theirs is in any table, and their random number is in their erasure alone."""
        alive = {life.trace for life in self.model.known.values()}
        assert set(TRACE.findall(repr(self.rows))) <= alive
        rows = [row for row in self.rows if not str(row[0]).startswith(KEY)]
        for key in set(EVERYBODY) - set(self.model.known):
            assert not [row for row in rows if {*parts(key)} <= set(row)]
        for _, person_uid in self.model.erased:
            assert len([row for row in self.rows if person_uid in row]) == 1

    def everybody_seen(self) -> list[Person]:
        return [person for tenant in TENANTS for person in self.seen["people", tenant, ""]]

    def some_use(self, key: PersonKey, data: st.DataObject) -> Use:
        """A use that is about one person."""
        uses: dict[str, Callable[[], Use]] = {
            "ask": lambda: self.asking(key),
            "answer": lambda: self.answering(key, data.draw(idempotency_keys)),
            "undo": lambda: self.undoing(key, data.draw(idempotency_keys)),
            "rate": lambda: self.rating(key, data.draw(idempotency_keys)),
            "rank": lambda: self.ranking(key),
            "appeal": lambda: self.appealing(*parts(key)),
            "erase": lambda: erasing(key),
        }
        return uses[data.draw(st.sampled_from(sorted(uses)))]()

    def asking(self, key: PersonKey, asked_before: bool = False, late: bool = False) -> Use:
        life, number = self.model.known.get(key), self.number()
        questions, position = (life.questions, len(life.log)) if life else ([], 0)
        prompt_id = questions[0].prompt_id if questions and asked_before else f"prompt {len(questions)}, {number % 2}"
        question = Question(
            question_id=f"question {number}",
            number=len(questions) + 1,
            asked_after=position - late,
            prompt_id=prompt_id,
            conversation=({"role": "user", "content": self.text(key, "How?")},),
            left_id="a",
            right_id="b",
            left=self.text(key, "Like this."),
            right=self.text(key, "Or like that."),
            left_digest="0",
            right_digest="1",
            rule="iopt",
            seed=2**53 - number,
            expected_gain=1 / number,
            unit="nats",
            bank_version="bank",
            basis_version="basis",
            population_version="population",
            profile_version=f"{position}-abc",
            asked_at=self.time(),
        )
        return Use(lambda store: store.add_question(key, question), lambda model: model.add_question(key, question))

    def answering(self, key: PersonKey, idempotency_key: str | None, said: str = "", shift: int = 0) -> Use:
        """An answer to the oldest question that waits; a question where none does."""
        life = self.model.known.get(key)
        if life and not life.waiting:
            return self.asking(key)
        position = (len(life.log) if life else 0) + 1 + shift
        answer = Answer(
            position=position,
            answer_id=f"answer {position}",
            question_id=life.waiting[0].question_id if life else "question",
            choice=Choice.LEFT,
            strength=Strength.CLEAR if shift else None,
            note=self.text(key, said),
            predicted=(1 / 3, 1 / 7, 1 - 1 / 3 - 1 / 7),
            idempotency_key=idempotency_key,
            request_digest=f"request {self.number()}",
            logged_at=self.time(),
        )
        return appending(key, answer)

    def undoing(self, key: PersonKey, idempotency_key: str | None) -> Use:
        """A correction of the last answer; an answer where there is none."""
        life = self.model.known.get(key)
        if life is None or not life.answered:
            return self.answering(key, idempotency_key)
        undone = life.answered[-1].answer_id
        return appending(key, Correction(len(life.log) + 1, undone, idempotency_key, "undo", self.time()))

    def rating(self, key: PersonKey, idempotency_key: str | None, said: str = "") -> Use:
        conversation, number = ({"role": "user", "content": self.text(key, said)},), self.number()
        rating = AnchorRating(
            f"rating {number}",
            0,
            conversation,
            self.text(key, said),
            Level.EXCELLENT,
            idempotency_key,
            "d",
            self.time(),
        )
        return Use(
            lambda store: store.add_anchor_rating(key, rating), lambda model: model.add_anchor_rating(key, rating)
        )

    def ranking(self, key: PersonKey, days: int = 3, erased_before: bool = False) -> Use:
        """A ranking of whoever has the name now or, rarely, of somebody erased; older ones are kept for ``days``."""
        gone = [person_uid for tenant, person_uid in self.model.erased if tenant == key.tenant_id]
        life = self.model.known.get(key)
        person = gone[-1] if gone and erased_before else life.person.person_uid if life else "unknown"
        served = [ranking.served_at for owner, ranking in self.model.rankings if owner.tenant_id == key.tenant_id]
        keep_from = served[-days] if 0 < days <= len(served) else self.time()
        made = (f"ranking {self.number()}", person, self.time(), "personal", "0-abc", "basis", self.text(key, ""))
        ranking = ServedRanking(*made, phi=((1 / 3, 2.0), (0.5, -1.0)), rewards=(0.1, 1 / 7), order=(1, 0))
        return Use(
            lambda store: store.traffic.add(*parts(key), ranking, keep_from),
            lambda model: model.add_ranking(key, ranking, keep_from),
        )

    def appealing(self, tenant: str, user: str | None, said: str = "") -> Use:
        appeal = Appeal(
            appeal_id=f"appeal {next(self.appeals[tenant])}",
            user_id=user,
            conversation=({"role": "user", "content": "How?"},),
            response=self.text(PersonKey(tenant, user), said) if user else said,
            response_digest=f"response {len(said)}",
            reasons=("repetition", "length"),
            note=said or None,
            made_at=self.time(),
        )
        return Use(lambda store: store.appeals.add(tenant, appeal), lambda model: model.add_appeal(tenant, appeal))


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize(
    ("examples", "steps", "phases"),
    [
        pytest.param(10, 20, FOUND, id="short"),
        pytest.param(40, 40, SHRUNK, id="long", marks=pytest.mark.slow),
        pytest.param(2_000, 60, SHRUNK, id="longest", marks=[pytest.mark.slow, pytest.mark.soak]),
    ],
)
def test_a_store_does_what_the_model_does(
    tmp_path: Path, kind: str, examples: int, steps: int, phases: list[Phase]
) -> None:
    budget = settings(max_examples=examples, stateful_step_count=steps, phases=phases)
    run_state_machine_as_test(lambda: StoreMachine(kind, tmp_path), settings=budget)
