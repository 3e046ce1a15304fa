"""Places where a store can live, for tests that open it, kill it and look into it from outside.

Another store runs through the same tests as one more entry of ``PLACES``.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from app.storage.sqlite_store import SqliteStore
from app.storage.store import Store, VisitLimits


class Place(Protocol):
    """An empty place for one database, which several processes may share."""

    def store(self, limits: VisitLimits) -> Store:
        """The store as one more process sees it, not opened yet."""

    def kill(self) -> None:
        """End all processes that use the store now: what they leave behind is what later ones find."""

    def rows(self) -> list[tuple[Any, ...]]:
        """Every row of every table, read without the store."""


class SqlitePlace:
    """One file in a folder. A killed process leaves what it has written to the file and its journal by then."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._kills = folder, 0

    def store(self, limits: VisitLimits) -> Store:
        self._database.parent.mkdir(exist_ok=True)
        return SqliteStore(self._database, limits)

    def kill(self) -> None:
        left = self._database
        self._kills += 1
        self._database.parent.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(f"{left}{suffix}", f"{self._database}{suffix}")

    def rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._database)) as db:
            tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
            return [row for table in tables for row in db.execute(f'select * from "{table}"')]

    @property
    def _database(self) -> Path:
        return self._folder / str(self._kills) / "keel.db"


PLACES: dict[str, Callable[[Path], Place]] = {"sqlite": SqlitePlace}
