"""The Registry in the same SQLite file as the people, over the same two connections."""

from dataclasses import asdict
from typing import Any, cast

from sqlite_utils.db import Database

from app.errors import NotFound
from app.storage.registry import Deployment, Erasure, Key, Scope
from app.storage.sqlite_connection import Connection

INSERT_KEY = """
    insert into keys (key_id, tenant_id, secret_digest, created_at, revoked_at,
        scopes, expires_at, bound_to, made_by, max_tokens)
    select :key_id, :tenant_id, :secret_digest, :created_at, :revoked_at,
        :scopes, :expires_at, :bound_to, :made_by, :max_tokens
    where :made_by is null or exists (select * from keys where key_id = :made_by and revoked_at is null)
"""
REVOKE_KEYS = """
    with recursive gone(key_id) as (
        select :key_id union select keys.key_id from keys join gone on keys.made_by = gone.key_id)
    update keys set revoked_at = coalesce(revoked_at, :revoked_at) where key_id in (select key_id from gone)
"""


class SqliteRegistry:
    """Implements ``app.storage.registry.Registry``."""

    def __init__(self, writer: Connection, reader: Connection) -> None:
        self._writer, self._reader = writer, reader

    async def keys(self) -> list[Key]:
        rows = await self._reader.run(lambda db: list(db.query("select * from keys order by rowid")))
        return [to_key(row) for row in rows]

    async def key(self, key_id: str) -> Key | None:
        rows = await self._reader.run(lambda db: list(db.table("keys").rows_where("key_id = ?", [key_id])))
        return to_key(rows[0]) if rows else None

    async def add_key(self, key: Key) -> None:
        row = asdict(key) | {"scopes": None if key.scopes is None else " ".join(sorted(key.scopes))}

        def insert(db: Database) -> int:
            expired = "delete from keys where made_by is not null and expires_at <= ?"
            db.execute(expired, [key.created_at])
            return db.execute(INSERT_KEY, row).rowcount

        if not await self._writer.run(insert):
            raise NotFound(f"key {key.made_by!r}, which was to make another, is revoked")

    async def revoke_key(self, key_id: str, revoked_at: str) -> Key:
        given = {"key_id": key_id, "revoked_at": revoked_at}
        await self._writer.run(lambda db: db.execute(REVOKE_KEYS, given).rowcount)
        key = await self.key(key_id)
        if key is None:
            raise NotFound(f"no key {key_id!r}; keel key list shows them")
        return key

    async def tenants(self) -> list[str]:
        rows = await self._reader.run(lambda db: list(db.query("select distinct tenant_id from people order by 1")))
        return [row["tenant_id"] for row in rows]

    async def served(self) -> list[Deployment]:
        sql = "select digest, basis_version, population_version, served_at, retired_at from served order by served_at"
        return [Deployment(**row) for row in await self._reader.run(lambda db: list(db.query(sql)))]

    async def serve(self, served: Deployment, files: bytes) -> None:
        row = asdict(served) | {"files": files}
        await self._writer.run(lambda db: db.table("served").insert(row, replace=True))

    async def files(self, digest: str) -> bytes | None:
        rows = await self._reader.run(lambda db: list(db.table("served").rows_where("digest = ?", [digest])))
        return cast(bytes | None, rows[0]["files"]) if rows else None

    async def retire(self, digest: str, retired_at: str) -> None:
        sql = "update served set files = null, retired_at = ? where digest = ?"
        await self._writer.run(lambda db: db.execute(sql, [retired_at, digest]).rowcount)

    async def erasures(self) -> list[Erasure]:
        rows = await self._reader.run(lambda db: list(db.table("erasures").rows))
        return [Erasure(row["tenant_id"], row["incarnation"], row["erased_at"]) for row in rows]


def to_key(row: dict[str, Any]) -> Key:
    """The key of a row; one of a table without scopes has None."""
    scopes = row.get("scopes")
    return Key(**row | {"scopes": None if scopes is None else frozenset(Scope(name) for name in scopes.split())})
