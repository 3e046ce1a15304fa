"""The Store in one SQLite file: one thread owns the connection that writes, another the one that reads,
and the event loop one for lookups.

WAL with synchronous=FULL: a committed answer survives the death of the process and of the machine. secure_delete
overwrites what is deleted; erasing also rebuilds the file and empties the journal.
"""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import AsyncFileLock
from sqlite_utils.db import Database

from app.errors import Conflict, NotFound, StoreFailed
from app.storage.migrations import MIGRATIONS
from app.storage.private import private_database
from app.storage.sqlite_appeals import SqliteAppeals
from app.storage.sqlite_cleaning import Cleaning, note_due
from app.storage.sqlite_connection import READING, Connection, PointReads, empty_journal
from app.storage.sqlite_failures import SameFiles
from app.storage.sqlite_registry import SqliteRegistry
from app.storage.sqlite_traffic import SqliteTraffic
from app.storage.sqlite_visits import OWNER, SqliteVisits
from app.storage.store import (
    AnchorRating,
    Answer,
    AuditReport,
    Correction,
    Entry,
    Person,
    PersonKey,
    Question,
    VisitLimits,
    now,
)
from elicitation.anchors import Level
from elicitation.choice import Choice, Strength

CHECK_SECONDS = 0.5
REVOKE_BOUND = """
    update keys set revoked_at = coalesce(revoked_at, :revoked_at), bound_to = ''
    where tenant_id = :tenant_id and bound_to = :user_id
"""
PEOPLE = """
    select people.*, coalesce((select max(position) from answer_log as log
        where log.tenant_id = people.tenant_id and log.user_id = people.user_id), 0) as position
    from people where tenant_id = :tenant_id
"""
WAITING = """
    with log as (select * from answer_log where tenant_id = :tenant_id and user_id = :user_id)
    select question_id from questions where tenant_id = :tenant_id and user_id = :user_id and question_id not in
        (select question_id from log where kind = 'answer' and answer_id not in
            (select answer_id from log where kind = 'correction'))
    order by rowid
"""


class SqliteStore:
    """Implements ``app.storage.store.Store`` on the file ``path``; its folder must exist."""

    def __init__(self, path: Path, limits: VisitLimits | None = None) -> None:
        self._path, self._visits = path, SqliteVisits(limits or VisitLimits())
        self._files = files = SameFiles(path)
        self._writer = Connection(path, "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", files=files)
        self._reader = Connection(path, READING, files=files)
        self._lookup = PointReads(path, READING, files=files)
        self._cleaning = Cleaning(self._writer)
        self.registry = SqliteRegistry(self._writer, self._lookup)
        self.appeals = SqliteAppeals(self._writer, self._reader, self._visits)
        self.traffic = SqliteTraffic(self._writer, self._reader)

    async def open(self) -> None:
        try:
            await asyncio.to_thread(private_database, self._path)
            # SQLite does not wait where two processes switch a new file to WAL at once; it fails.
            async with AsyncFileLock(f"{self._path}.lock", mode=0o600):
                await self._writer.run(MIGRATIONS.apply)
                await self._writer.run(empty_journal)
        except OSError as error:
            raise StoreFailed(f"the database cannot be opened ({error.strerror}); make its folder writable") from error
        self._files.remember()
        await self._cleaning.clean()

    async def close(self) -> None:
        await self._cleaning.close()
        await self._lookup.close()
        await self._reader.close()
        await self._writer.close()

    async def check(self) -> None:
        # Writing the version that is there already changes nothing, and goes all the way to the disk.
        await self._writer.write(lambda db: db.execute("PRAGMA user_version = 0"), CHECK_SECONDS)
        await self._reader.run(lambda db: db.execute("select rowid from people limit 1").fetchall(), CHECK_SECONDS)

    async def find(self, keys: Sequence[PersonKey]) -> list[Person]:
        return await self._lookup.run(lambda db: [self._known(db, key) for key in keys])

    async def people(self, tenant_id: str) -> list[Person]:
        sql = f"{PEOPLE} order by people.rowid"
        return await self._reader.run(lambda db: [_to_person(row) for row in db.query(sql, {"tenant_id": tenant_id})])

    async def visit(self, key: PersonKey) -> Person:
        def begin(db: Database) -> None:
            if self._found(db, key) is None:
                self._visits.begin(db, key)

        found = await self._lookup.run(lambda db: self._found(db, key))
        if found is None:
            await self._writer.write(begin)
        return found or (await self.find([key]))[0]

    async def questions(self, key: PersonKey) -> list[Question]:
        rows = await self._reader.run(lambda db: _owned(db, "questions", key))
        return [_to_question(row) for row in rows]

    async def add_question(self, key: PersonKey, question: Question) -> None:
        row = asdict(key) | asdict(question) | {"conversation": json.dumps(question.conversation)}

        def add(db: Database) -> None:
            position = self._known(db, key).position
            if position != question.asked_after:
                raise Conflict(f"the log has {position} entries, not {question.asked_after}; ask again")
            for waiting in db.query(WAITING, asdict(key)):
                raise Conflict(f"question {waiting['question_id']!r} waits for its answer; ask again to see it")
            _insert(db, "questions", row, "this prompt was asked before; ask again")

        await self._writer.write(add)

    async def log(self, key: PersonKey) -> list[Entry]:
        rows = await self._reader.run(lambda db: _owned(db, "answer_log", key))
        return [_to_entry(row) for row in rows]

    async def append(self, key: PersonKey, entry: Entry) -> None:
        row = asdict(key) | asdict(entry) | {"kind": "answer" if isinstance(entry, Answer) else "correction"}
        if isinstance(entry, Answer):
            row["predicted"] = json.dumps(entry.predicted)

        def add(db: Database) -> None:
            expected = self._admitted(db, key).position + 1
            if entry.position != expected:
                raise Conflict(f"entry {entry.position} arrived where {expected} was due; read the profile, then retry")
            _insert(db, "answer_log", row, "this Idempotency-Key was used before; send a fresh one")

        await self._writer.write(add)

    async def anchor_ratings(self, key: PersonKey) -> list[AnchorRating]:
        rows = await self._reader.run(lambda db: _owned(db, "anchor_ratings", key))
        return [_to_rating(row) for row in rows]

    async def add_anchor_rating(self, key: PersonKey, rating: AnchorRating) -> None:
        row = asdict(key) | asdict(rating) | {"conversation": json.dumps(rating.conversation)}

        def add(db: Database) -> None:
            self._admitted(db, key)
            _insert(db, "anchor_ratings", row, "this Idempotency-Key was used before; send a fresh one")

        await self._writer.write(add)

    async def erase(self, key: PersonKey) -> None:
        def delete(db: Database) -> None:
            self._known(db, key)
            if (person := _person(db, key)) is not None:
                gone = {"tenant_id": key.tenant_id, "incarnation": person.person_uid, "erased_at": now()}
                db.table("erasures").insert(gone)
            note_due(db)
            for table in db.tables:
                if "user_id" in table.columns_dict:
                    table.delete_where(OWNER, asdict(key))
            db.execute(REVOKE_BOUND, asdict(key) | {"revoked_at": now()})
            for row in list(db.table("audits").rows_where("tenant_id = ?", [key.tenant_id])):
                if _to_audit(row).shows_few:
                    db.table("audits").delete(row["number"])

        await self._writer.write(delete)
        await self._cleaning.clean()

    async def add_audit(self, tenant_id: str, audit: AuditReport) -> None:
        row = asdict(audit) | {"tenant_id": tenant_id, "report": json.dumps(audit.report)}
        # A report equal to an earlier one takes its place and is the latest again.
        await self._writer.run(lambda db: db.table("audits").insert(row, replace=True))

    async def audit(self, tenant_id: str, audit_id: str | None) -> AuditReport:
        sql = "select * from audits where tenant_id = ? and coalesce(?, audit_id) = audit_id order by number desc"
        rows = await self._reader.run(lambda db: list(db.query(f"{sql} limit 1", [tenant_id, audit_id])))
        if not rows:
            raise NotFound(f"no audit {audit_id or 'yet'}; POST /v1/audits makes one")
        return _to_audit(rows[0])

    async def audits(self, tenant_id: str, latest: int) -> list[AuditReport]:
        sql = "select * from audits where tenant_id = ? order by number desc limit ?"
        rows = await self._reader.run(lambda db: list(db.query(sql, [tenant_id, latest])))
        return [_to_audit(row) for row in reversed(rows)]

    def _found(self, db: Database, key: PersonKey) -> Person | None:
        return _person(db, key) or self._visits.find(db, key)

    def _known(self, db: Database, key: PersonKey) -> Person:
        return self._required(self._found(db, key), key)

    def _admitted(self, db: Database, key: PersonKey) -> Person:
        """The person, who may have been on a visit until now; part of the transaction of an entry of theirs."""
        self._visits.admit(db, key)
        return self._required(_person(db, key), key)

    def _required(self, person: Person | None, key: PersonKey) -> Person:
        if person is None:
            hours = self._visits.limits.hours
            raise NotFound(
                f"no person {key.user_id!r}, nor a question to them that waited for less than {hours:g} hours; POST "
                f"/v1/users/{key.user_id}/questions asks one"
            )
        return person


def _owned(db: Database, table: str, key: PersonKey) -> list[dict[str, Any]]:
    """A person's rows of a table, oldest first."""
    return list(db.table(table).rows_where(OWNER, asdict(key), order_by="rowid"))


def _insert(db: Database, table: str, row: dict[str, Any], conflict: str) -> None:
    try:
        db.table(table).insert(row)
    except sqlite3.IntegrityError as error:
        raise Conflict(conflict) from error


def _person(db: Database, key: PersonKey) -> Person | None:
    rows = list(db.query(f"{PEOPLE} and user_id = :user_id", vars(key)))
    return _to_person(rows[0]) if rows else None


def _to_person(row: dict[str, Any]) -> Person:
    key = PersonKey(row["tenant_id"], row["user_id"])
    return Person(key, row["incarnation"], row["created_at"], row["position"])


def _to_audit(row: dict[str, Any]) -> AuditReport:
    return AuditReport(row["audit_id"], row["created_at"], json.loads(row["report"]))


def _to_question(row: dict[str, Any]) -> Question:
    fields = {name: value for name, value in row.items() if name not in ("tenant_id", "user_id")}
    return Question(**fields | {"conversation": tuple(json.loads(row["conversation"]))})


def _to_rating(row: dict[str, Any]) -> AnchorRating:
    fields = {name: value for name, value in row.items() if name not in ("tenant_id", "user_id")}
    return AnchorRating(
        **fields | {"conversation": tuple(json.loads(row["conversation"])), "level": Level(row["level"])}
    )


def _to_entry(row: dict[str, Any]) -> Entry:
    common = {name: row[name] for name in ("position", "answer_id", "idempotency_key", "request_digest", "logged_at")}
    if row["kind"] == "correction":
        return Correction(**common)
    left, same, right = json.loads(row["predicted"])
    return Answer(
        **common,
        question_id=row["question_id"],
        choice=Choice(row["choice"]),
        strength=Strength(row["strength"]) if row["strength"] else None,
        note=row["note"],
        predicted=(left, same, right),
    )
