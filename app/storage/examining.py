"""A database looked at without changing it: is it whole, is its shape ours, and when was its last entry."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils.db import Database

from app.storage.migrations import MIGRATIONS
from app.storage.registry import Key
from app.storage.sqlite_registry import to_key

LATEST = "select max(at) from (select max(logged_at) at from answer_log union select max(created_at) from people)"


@dataclass(frozen=True)
class Examined:
    """``damage`` in SQLite's words, empty for none; names of steps of the shape that are missing, or not known here;
    the time of the last entry, ISO 8601, None without one; all ``keys`` ever made."""

    damage: str
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    latest: str | None
    keys: tuple[Key, ...] = ()


def examine(database: Path) -> Examined:
    """Read all of it once; a service may be writing to it meanwhile."""
    known = [step.name for step in MIGRATIONS.pending(Database(memory=True))]
    try:
        source = sqlite3.connect(_address(database.resolve()), uri=True)
        with closing(source) as db:
            found = str(db.execute("pragma integrity_check").fetchone()[0])
            rows = db.execute("select name from _sqlite_migrations where migration_set = ?", [MIGRATIONS.name])
            applied = [name for (name,) in rows]
            latest = db.execute(LATEST).fetchone()[0]
            db.row_factory = sqlite3.Row
            keys = tuple(to_key(dict(row)) for row in db.execute("select * from keys")) if "keys" in applied else ()
    except sqlite3.Error as error:
        return Examined(str(error), (), (), None)
    missing, unknown = (tuple(sorted(set(a) - set(b))) for a, b in ((known, applied), (applied, known)))
    return Examined("" if found == "ok" else found, missing, unknown, latest, keys)


def _address(database: Path) -> str:
    """Opens it for reading alone. Where no journal lies beside it nobody writes, and SQLite need not make one."""
    written = database.with_name(f"{database.name}-wal").exists()
    return f"{database.as_uri()}?mode=ro{'' if written else '&immutable=1'}"
