"""A connection to a SQLite file that lives on a thread of its own."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlite_utils.db import Database

from app.errors import NotReady, StoreFailed
from app.observing.measured import stage
from app.observing.metrics import STORE_ERRORS, STORE_SECONDS, Operation
from app.storage.sqlite_failures import SameFiles, store_failure

LOG = logging.getLogger("keel")
T = TypeVar("T")
READING = "query_only=ON"
"""Pragma of a connection that never writes."""
LOCK_SECONDS = 5.0
"""Time in which a call may wait for other processes, from its arrival: calls that queue up do not add their waits."""


class Connection:
    """A database that only its own thread touches.

    Raises StoreFailed where the file cannot be written or read; the transaction under way is then rolled back.
    """

    def __init__(self, path: Path, *pragmas: str, files: SameFiles | None = None) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._path, self._pragmas, self._files = path, pragmas, files or SameFiles(path)
        self._db: Database | None = None

    async def run(self, work: Callable[[Database], T], seconds: float = LOCK_SECONDS) -> T:
        """What ``work`` returns; waits at most ``seconds`` for a lock of another process."""
        due = time.monotonic() + seconds
        with stage("store"):
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._measured, work, due)

    async def write(self, work: Callable[[Database], object], seconds: float = LOCK_SECONDS) -> None:
        """Do ``work`` in one transaction, which no other process writes into from its first read on."""

        def transaction(db: Database) -> None:
            db.execute("BEGIN IMMEDIATE")
            work(db)
            db.commit()

        await self.run(transaction, seconds)

    @property
    def operation(self) -> Operation:
        """What it is for."""
        return "read" if READING in self._pragmas else "write"

    def interrupt(self) -> None:
        """End the statement that is running, if any; its transaction is rolled back."""
        if self._db is not None:
            self._db.conn.interrupt()

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _measured(self, work: Callable[[Database], T], due: float) -> T:
        start = time.perf_counter()
        try:
            return self._attempt(work, due)
        except (sqlite3.Error, OSError, StoreFailed):
            STORE_ERRORS.labels(self.operation).inc()
            raise
        finally:
            STORE_SECONDS.labels(self.operation).observe(time.perf_counter() - start)

    def _attempt(self, work: Callable[[Database], T], due: float) -> T:
        try:
            self._files.require()
            db = self._opened()
            db.execute(f"PRAGMA busy_timeout={max(1, round(1_000 * (due - time.monotonic())))}")
            return work(db)
        except sqlite3.Error as error:
            failure = store_failure(error)
            if failure is None:
                raise
            LOG.error("store", extra={"fields": {"sqlite": error.sqlite_errorname}})
            raise failure from error
        finally:
            self._roll_back()

    def _opened(self) -> Database:
        if self._db is None:
            db = Database(self._path)
            try:
                for pragma in ("temp_store=MEMORY", *self._pragmas):
                    db.execute(f"PRAGMA {pragma}").fetchall()
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _roll_back(self) -> None:
        # A commit that fails leaves its transaction open, and the next one could not begin.
        if self._db is not None and self._db.conn.in_transaction:
            self._db.rollback()

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class PointReads(Connection):
    """Reads a few rows on the event loop's own thread: at 0.03 ms that is sooner done than changing threads.

    In WAL mode it waits for no writer.
    """

    async def run(self, work: Callable[[Database], T], seconds: float = 0) -> T:
        with stage("store"):
            return self._measured(work, time.monotonic() + seconds)

    @property
    def operation(self) -> Operation:
        return "lookup"

    async def close(self) -> None:
        self._close()


def empty_journal(db: Database) -> None:
    """Raises NotReady where another process reads in it."""
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise NotReady("another process holds the database, so its journal was not emptied; stop it and restart")
