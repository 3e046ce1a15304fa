"""``keel backup``: the whole database as it is at one moment, while a service may be writing to it."""

import os
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from elicitation.errors import InvalidInput


@dataclass(frozen=True)
class Backup:
    """One file with everything: people, answers, audits, keys, and the artifacts that profile versions depend on."""

    file: str
    bytes: int
    people: int
    answers: int


def back_up(database: Path, target: Path) -> Backup:
    """Copy ``database`` to the new file ``target``, its owner's alone; half a copy never bears that name.

    Raises InvalidInput where ``target`` exists or cannot be written, or the database is damaged.
    """
    if target.exists():
        raise InvalidInput(f"{target} exists; name a file that does not")
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        people, answers = _copied(database, unfinished)
        unfinished.rename(target)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written ({error.strerror}); choose another place") from error
    except sqlite3.DatabaseError as error:
        raise InvalidInput(f"{database} is damaged or none of keel's ({error}); restore an earlier backup") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return Backup(str(target), target.stat().st_size, people, answers)


def _copied(database: Path, target: Path) -> tuple[int, int]:
    """How many people and log entries the copy holds; raises DatabaseError unless it is whole."""
    source = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        # Without a write-ahead log the one file is everything.
        copy.execute("PRAGMA journal_mode=DELETE")
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        people, answers = (copy.execute(f"select count(*) from {t}").fetchone()[0] for t in ("people", "answer_log"))  # noqa: S608
        return int(people), int(answers)
