"""SQLite's failures that are no fault of the request: a full disk, a lock, a file that is gone.

Each becomes ``StoreFailed``. Its message says what is wrong and what the operator does about it; paths stay out of it.
"""

import os
import sqlite3
from pathlib import Path

from app.errors import StoreFailed

FILES = ("", "-wal")
"""Suffixes of the files that hold answers."""
REASONS = {
    sqlite3.SQLITE_FULL: "the disk of the database is full; free some space",
    sqlite3.SQLITE_READONLY: "the database is read-only; make its folder and its files writable",
    sqlite3.SQLITE_PERM: "the database may not be opened; give the service's user access to its folder",
    sqlite3.SQLITE_BUSY: "another process holds the database; end it, or wait for it",
    sqlite3.SQLITE_LOCKED: "another process holds the database; end it, or wait for it",
    sqlite3.SQLITE_PROTOCOL: "another process holds the database; end it, or wait for it",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened; see that its folder is there, writable and not full",
    sqlite3.SQLITE_IOERR: "the disk of the database fails; see that it is mounted, writable and not full",
    sqlite3.SQLITE_CORRUPT: "the database is damaged; stop the service and restore a backup",
    sqlite3.SQLITE_NOTADB: "the database is damaged; stop the service and restore a backup",
}
PRIMARY = 0xFF
"""The lowest byte of a code is its kind; the rest is detail (https://www.sqlite.org/rescode.html)."""


def store_failure(error: sqlite3.Error) -> StoreFailed | None:
    """What to tell a client; None where the error is a fault of ours."""
    reason = REASONS.get(getattr(error, "sqlite_errorcode", 0) & PRIMARY)
    return None if reason is None else StoreFailed(f"{reason}. Nothing was stored; send the request again")


class SameFiles:
    """The database's files at the time of ``remember``: SQLite goes on writing to files that nobody finds again."""

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_name(f"{path.name}{suffix}") for suffix in FILES]
        self._known: dict[Path, tuple[int, int]] = {}

    def remember(self) -> None:
        self._known = {path: identity for path in self._paths if (identity := _identity(path)) is not None}

    def require(self) -> None:
        """Raises StoreFailed where a file is gone, or another one has its name."""
        if any(_identity(path) != identity for path, identity in self._known.items()):
            raise StoreFailed(
                "the database's files were removed or replaced while the service ran; put the same files back, or "
                "restart the service. Nothing was stored; send the request again"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
