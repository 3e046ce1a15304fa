"""The TrafficLog in the same SQLite file as the people, over the same two connections."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlite_utils.db import Database

from app.storage.sqlite_connection import Connection
from app.storage.traffic import ServedRanking

AS_JSON = ("phi", "rewards", "order")


class SqliteTraffic:
    """Implements ``app.storage.traffic.TrafficLog``."""

    def __init__(self, writer: Connection, reader: Connection) -> None:
        self._writer, self._reader = writer, reader

    async def add(self, tenant_id: str, user_id: str, ranking: ServedRanking, keep_from: str) -> None:
        row = {"tenant_id": tenant_id, "user_id": user_id, **asdict(ranking)}
        row |= {name: json.dumps(row[name]) for name in AS_JSON}
        asking = "tenant_id = :tenant_id and user_id = :user_id and incarnation = :person"

        def insert(db: Database) -> None:
            db.table("rankings").delete_where("tenant_id = ? and served_at < ?", [tenant_id, keep_from])
            if db.table("people").count_where(asking, row):
                db.table("rankings").insert(row)

        # One transaction, so that nobody is logged who was erased in the meantime.
        await self._writer.write(insert)

    async def of_tenant(self, tenant_id: str, keep_from: str) -> Sequence[ServedRanking]:
        return await self._rows("tenant_id = ? and served_at >= ?", [tenant_id, keep_from])

    async def of_person(self, tenant_id: str, user_id: str) -> Sequence[ServedRanking]:
        return await self._rows("tenant_id = ? and user_id = ?", [tenant_id, user_id])

    async def _rows(self, where: str, values: list[str]) -> Sequence[ServedRanking]:
        table = "rankings"
        rows = await self._reader.run(lambda db: list(db.table(table).rows_where(where, values, order_by="rowid")))
        return [_ranking(row) for row in rows]


def _ranking(row: dict[str, Any]) -> ServedRanking:
    fields = {name: value for name, value in row.items() if name not in ("tenant_id", "user_id", *AS_JSON)}
    return ServedRanking(
        **fields,
        phi=tuple(map(tuple, json.loads(row["phi"]))),
        rewards=tuple(json.loads(row["rewards"])),
        order=tuple(json.loads(row["order"])),
    )
