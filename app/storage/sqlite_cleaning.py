"""The clean-up after an erasure: SQLite keeps copies of moved rows in unused parts of pages, and pages in the journal.

An erasure counts once it is committed. Its transaction also notes in ``clean_ups`` that a clean-up is due. It comes at
once; where it fails, after a pause, and after a restart. So nobody has to send the erasure again.
"""

import asyncio
import itertools
import logging
from contextvars import Context

from sqlite_utils.db import Database

from app.storage.sqlite_connection import Connection, empty_journal

LOG = logging.getLogger("keel")
PAUSES = (1, 2, 5, 10, 30, 60)
"""Seconds between attempts."""


class Cleaning:
    """Rebuilds the file and empties its journal as long as an erasure asks for it."""

    def __init__(self, writer: Connection) -> None:
        self._writer = writer
        self._trying: asyncio.Task[None] | None = None
        self._rebuilding = False

    async def clean(self) -> None:
        """Clean up if that is due. A failure is logged, and attempts go on beside everything else."""
        if not await self._cleaned() and (self._trying is None or self._trying.done()):
            # In no request's context: its time is over.
            self._trying = asyncio.create_task(self._try_again(), context=Context())

    async def close(self) -> None:
        """End the attempts, however large the file; the next start goes on with them."""
        while self._rebuilding:
            self._writer.interrupt()
            await asyncio.sleep(0.01)
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.wait([self._trying])

    async def _try_again(self) -> None:
        for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
            await asyncio.sleep(pause)
            if await self._cleaned():
                return

    async def _cleaned(self) -> bool:
        try:
            await self._writer.run(self._clean)
        except Exception as error:
            LOG.error("clean-up of an erasure", extra={"fields": {"exception": type(error).__name__}})
            return False
        return True

    def _clean(self, db: Database) -> None:
        last = db.execute("select max(number) from clean_ups").fetchone()[0]
        if last is not None:
            # First, since it needs less space; at last also where the disk is full, or the attempt would keep it so.
            empty_journal(db)
            self._rebuilding = True
            try:
                db.vacuum()
            finally:
                self._rebuilding = False
                empty_journal(db)
            db.table("clean_ups").delete_where("number <= ?", [last])


def note_due(db: Database) -> None:
    """A part of an erasure's transaction."""
    db.execute("insert into clean_ups default values")
