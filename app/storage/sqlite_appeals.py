"""Appeals in the same SQLite file as the people, over the same two connections.

The table is keyed by tenant and person as all personal data is; an appeal that names nobody has an empty ``user_id``,
which no person can have.
"""

import json
from dataclasses import asdict
from typing import Any

from sqlite_utils.db import Database

from app.errors import NotFound
from app.storage.appeals import Appeal, Verdict
from app.storage.sqlite_connection import Connection
from app.storage.sqlite_visits import OWNER, SqliteVisits
from app.storage.store import PersonKey

NOBODY = ""


class SqliteAppeals:
    """Implements ``app.storage.appeals.AppealStore``."""

    def __init__(self, writer: Connection, reader: Connection, visits: SqliteVisits) -> None:
        self._writer, self._reader, self._visits = writer, reader, visits

    async def add(self, tenant_id: str, appeal: Appeal) -> None:
        row = asdict(appeal) | {"tenant_id": tenant_id, "user_id": appeal.user_id or NOBODY}
        row |= {"conversation": json.dumps(appeal.conversation), "reasons": json.dumps(appeal.reasons)}

        def insert(db: Database) -> None:
            if appeal.user_id is not None:
                self._require(db, PersonKey(tenant_id, appeal.user_id))
            db.table("appeals").insert(row)

        await self._writer.write(insert)

    async def all(self, tenant_id: str) -> list[Appeal]:
        return await self._where("tenant_id = ?", tenant_id)

    async def of_person(self, tenant_id: str, user_id: str) -> list[Appeal]:
        return await self._where("tenant_id = ? and user_id = ?", tenant_id, user_id)

    async def resolve(self, tenant_id: str, appeal_id: str, verdict: Verdict, resolved_at: str) -> Appeal:
        sql = "update appeals set verdict = ?, resolved_at = ? where tenant_id = ? and appeal_id = ?"
        given = [verdict.value, resolved_at, tenant_id, appeal_id]
        await self._writer.run(lambda db: db.execute(sql, given).rowcount)
        found = [appeal for appeal in await self.all(tenant_id) if appeal.appeal_id == appeal_id]
        if not found:
            raise NotFound(f"no appeal {appeal_id[:40]!r}; GET /v1/appeals lists them")
        return found[0]

    async def overturned(self, tenant_id: str) -> frozenset[str]:
        sql = "select response_digest from appeals where tenant_id = ? and verdict = ?"
        given = [tenant_id, Verdict.OVERTURN.value]
        rows = await self._reader.run(lambda db: list(db.query(sql, given)))
        return frozenset(row["response_digest"] for row in rows)

    def _require(self, db: Database, key: PersonKey) -> None:
        self._visits.admit(db, key)
        if not db.table("people").count_where(OWNER, asdict(key)):
            raise NotFound(f"no person {key.user_id!r}; leave user_id out, or ask them a question first")

    async def _where(self, condition: str, *given: str) -> list[Appeal]:
        def rows(db: Database) -> list[dict[str, Any]]:
            return list(db.table("appeals").rows_where(condition, given, order_by="rowid"))

        return [_to_appeal(row) for row in await self._reader.run(rows)]


def _to_appeal(row: dict[str, Any]) -> Appeal:
    fields = {name: value for name, value in row.items() if name != "tenant_id"}
    fields |= {"conversation": tuple(json.loads(row["conversation"])), "reasons": tuple(json.loads(row["reasons"]))}
    fields |= {"user_id": row["user_id"] or None, "verdict": Verdict(row["verdict"]) if row["verdict"] else None}
    return Appeal(**fields)
