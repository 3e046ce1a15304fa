"""A connection to a SQLite file that lives on a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlite_utils.db import Database

from app.observing.measured import stage

T = TypeVar("T")
BUSY_MILLISECONDS = 5_000


class Connection:
    """A database that only its own thread touches."""

    def __init__(self, path: Path, *pragmas: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._path, self._pragmas = path, pragmas
        self._db: Database | None = None

    async def run(self, work: Callable[[Database], T]) -> T:
        with stage("store"):
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._opened()))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _opened(self) -> Database:
        if self._db is None:
            self._db = Database(self._path)
            for pragma in (f"busy_timeout={BUSY_MILLISECONDS}", "temp_store=MEMORY", *self._pragmas):
                self._db.execute(f"PRAGMA {pragma}").fetchall()
        return self._db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class PointReads(Connection):
    """Reads a few rows on the event loop's own thread: at 0.03 ms that is sooner done than changing threads.

    In WAL mode it waits for no writer.
    """

    async def run(self, work: Callable[[Database], T]) -> T:
        with stage("store"):
            return work(self._opened())

    async def close(self) -> None:
        self._close()
