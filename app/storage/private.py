"""The data folder and the database are their owner's alone: mode 0700 and 0600.

What exists with a wider mode is narrowed, and refused where another user owns it. A folder that holds other things is
left as it is, and refused where everybody may write into it and so swap the database.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from elicitation.errors import InvalidInput

FOLDER, FILE = 0o700, 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OWN = "keel.db"
"""Names of all that Keel puts into a data folder begin so."""
BESIDE = ("", "-wal", "-shm", "-journal")
"""SQLite's files of one database."""


def private_folder(folder: Path) -> None:
    """Make the data folder, or narrow it; InvalidInput where everybody may write into it."""
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & OTHERS and all(path.name.startswith(OWN) for path in folder.iterdir()) and _is_ours(folder):
        folder.chmod(FOLDER)
    elif mode & stat.S_IWOTH:
        raise InvalidInput(
            f"{folder} has mode {mode:04o}, so everybody may swap the database in it; "
            f"name a folder of your own with --data-dir, or: chmod 700 {folder}"
        )


def private_database(database: Path) -> None:
    """Make the file, or narrow it and SQLite's files beside it; InvalidInput where that cannot be done.

    SQLite gives the files that it makes beside a database the mode of the database.
    """
    place = database.resolve()
    # Another process may make the database at the same moment, or close it and so remove its journal.
    with suppress(FileExistsError):
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE))
    for suffix in BESIDE:
        with suppress(FileNotFoundError):
            _narrow(place.with_name(f"{place.name}{suffix}"))


def _narrow(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput(f"{path} is no regular file; move it away, or name another folder with --data-dir")
    if not found.st_mode & OTHERS:
        return
    if not _is_ours(path):
        mode = stat.S_IMODE(found.st_mode)
        raise InvalidInput(f"{path} has mode {mode:04o} and belongs to another user, who has to: chmod 600 {path}")
    path.chmod(FILE)


def _is_ours(path: Path) -> bool:
    """Whether this process may change the mode."""
    return os.geteuid() in (0, path.lstat().st_uid)
