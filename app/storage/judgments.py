"""Judgments that were paid for, in a SQLite file of their own: numbers by digest, no text and no reason.

Every vote is stored as it arrives, before anybody sees it, so that an interrupted run or a restart asks for none again.
With the first vote of a source's version the file notes which model said it; a vote of another one is refused.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from filelock import AsyncFileLock
from sqlite_utils.db import Database

from app.errors import SourceChanged
from app.flights import Flights
from app.storage.private import private_database, private_folder
from app.storage.sqlite_connection import Connection

Numbers = Mapping[str, float | None]
"""Of each criterion that was asked, on its own scale; None where the judge cannot tell."""
FILE = "keel.db.judgments"
"""In the data folder."""
TABLES = """
create table if not exists votes (
    tenant text not null, version text not null, pair text not null, vote integer not null, numbers text not null,
    primary key (tenant, version, pair, vote)
) without rowid;
create table if not exists judges (version text primary key, model text not null, fingerprint text not null)
"""
KEEP = "insert or ignore into votes values (:tenant, :version, :pair, :vote, :numbers)"
FIRST = "insert or ignore into judges values (?, ?, ?)"
SHOWN = 100
"""Characters of a model's name in a message."""


class VoteKey(NamedTuple):
    """A vote, numbered from 0, on the pair with that digest, by the source of that version, for a tenant."""

    tenant: str
    version: str
    pair: str
    vote: int


class Judgments:
    """The file at ``path``, made when it is first needed, and the votes under way in this process."""

    def __init__(self, path: Path) -> None:
        self.under_way: Flights[VoteKey, Numbers] = Flights()
        self._path = path
        self._connection = Connection(path, "journal_mode=WAL", "synchronous=FULL")
        self._made = False

    async def close(self) -> None:
        await self._connection.close()

    async def kept(self, tenant: str, version: str, pairs: Iterable[str]) -> Mapping[VoteKey, Numbers]:
        """All votes on the pairs with these digests."""
        asked = [tenant, version, json.dumps(list(pairs))]
        query = (
            "select pair, vote, numbers from votes "
            "where tenant = ? and version = ? and pair in (select value from json_each(?))"
        )
        await self._make()
        rows = await self._connection.run(lambda db: db.execute(query, asked).fetchall())
        return {VoteKey(tenant, version, pair, vote): json.loads(numbers) for pair, vote, numbers in rows}

    async def keep(self, key: VoteKey, numbers: Numbers, model: str, fingerprint: str) -> Numbers:
        """What is kept from now on: another process may have been first.

        Raises SourceChanged, and stores nothing, where another model said it than the first for this version.
        """
        row = {**key._asdict(), "numbers": json.dumps(numbers)}

        def insert(db: Database) -> None:
            _require_same(db, key.version, model, fingerprint)
            db.execute(KEEP, row)

        await self._make()
        await self._connection.write(insert)
        return (await self.kept(key.tenant, key.version, [key.pair]))[key]

    async def _make(self) -> None:
        if not self._made:
            await asyncio.to_thread(self._make_private)
            # SQLite does not wait where two processes switch a new file to WAL at once; it fails.
            async with AsyncFileLock(f"{self._path}.lock", mode=0o600):
                await self._connection.run(lambda db: db.executescript(TABLES))
            self._made = True

    def _make_private(self) -> None:
        private_folder(self._path.parent)
        private_database(self._path)


def _require_same(db: Database, version: str, *now: str) -> None:
    db.execute(FIRST, [version, *now])
    first = db.execute("select model, fingerprint from judges where version = ?", [version]).fetchone()
    for what, said, kept in zip(("model", "fingerprint"), now, first, strict=True):
        if said and kept and said != kept:
            raise SourceChanged(
                f"the judge says it is {what} {said[:SHOWN]!r}, the judgments kept are of {kept[:SHOWN]!r}; "
                "serve that one again, or set another revision in the recipe and build the basis again"
            )
