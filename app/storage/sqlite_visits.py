"""Visits, in the same SQLite file as the people.

A visit has the random number and the question of a person already. It becomes the person in the transaction of their
first entry, so that a profile version from before that still names them. Until then it ends after some hours, or when
its tenant has too many; its rows are deleted when somebody else's visit begins.
"""

import secrets
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from sqlite_utils.db import Database

from app.storage.store import Person, PersonKey, VisitLimits, now

OWNER = "tenant_id = :tenant_id and user_id = :user_id"
COLUMNS = "tenant_id, user_id, incarnation, created_at"
OVER = "created_at <= :ended"
TOO_MANY = "select rowid from visits where tenant_id = :tenant_id order by created_at desc limit -1 offset :others"


class SqliteVisits:
    """Each method is a part of the transaction that its caller has open."""

    def __init__(self, limits: VisitLimits) -> None:
        self.limits = limits

    def find(self, db: Database, key: PersonKey) -> Person | None:
        """Whoever visits; None without a visit or after its end."""
        rows = list(db.table("visits").rows_where(f"{OWNER} and not {OVER}", self._bound(key)))
        return Person(key, rows[0]["incarnation"], rows[0]["created_at"], position=0) if rows else None

    def begin(self, db: Database, key: PersonKey) -> None:
        """A visit of somebody who has none; those that are over, and the oldest of too many, leave."""
        bound = self._bound(key)
        leaving = f"{OVER} or rowid in ({TOO_MANY})"
        owners = f"select tenant_id, user_id from visits where {leaving}"  # noqa: S608
        db.execute(f"delete from questions where (tenant_id, user_id) in ({owners})", bound)  # noqa: S608
        db.execute(f"delete from visits where {leaving}", bound)  # noqa: S608
        row = asdict(key) | {"incarnation": secrets.token_hex(16), "created_at": now()}
        db.table("visits").insert(row)

    def admit(self, db: Database, key: PersonKey) -> None:
        """Whoever visits is a person from now on; nobody else is."""
        bound = self._bound(key)
        visiting = f"from visits where {OWNER} and not {OVER}"
        db.execute(f"insert into people ({COLUMNS}) select {COLUMNS} {visiting}", bound)
        db.execute(f"delete {visiting}", bound)

    def _bound(self, key: PersonKey) -> dict[str, str | int]:
        """Values for the SQL above."""
        ended = datetime.now(UTC) - timedelta(hours=self.limits.hours)
        return asdict(key) | {"ended": ended.isoformat(), "others": self.limits.most - 1}
