"""What Keel stores is its owner's alone, whatever the umask and whatever was there before."""

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from app.settings import Settings
from app.storage.backup import back_up
from app.storage.opening import opened
from app.storage.private import private_database, private_folder
from app.storage.store import PersonKey
from elicitation.errors import InvalidInput

ADA = PersonKey("local", "ada")
OTHERS = 0o077


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """The widest umask: every bit that is missing was taken away on purpose."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "keel")


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}


async def stored(settings: Settings) -> dict[str, int]:
    """Modes of all files while a store is open and has written."""
    async with opened(settings) as store:
        await store.visit(ADA)
        return modes(settings.data_dir)


async def test_folder_database_and_journal_are_made_private(settings: Settings) -> None:
    assert await stored(settings) == dict.fromkeys(("keel.db", "keel.db-wal", "keel.db-shm", "keel.db.lock"), 0o600) | {
        "keel": 0o700
    }


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750, 0o707, 0o701])
async def test_a_folder_that_is_there_is_narrowed(settings: Settings, mode: int) -> None:
    settings.data_dir.mkdir()
    settings.data_dir.chmod(mode)
    assert (await stored(settings))["keel"] == 0o700


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640, 0o604])
async def test_a_database_that_is_there_is_narrowed_with_its_journal(settings: Settings, mode: int) -> None:
    settings.data_dir.mkdir()
    with closing(sqlite3.connect(settings.database)) as db:
        db.execute("pragma journal_mode=wal")
        db.execute("create table was_there (x)")
        for path in settings.data_dir.iterdir():
            path.chmod(mode)
        found = await stored(settings)
    assert {"keel.db", "keel.db-wal", "keel.db-shm"} < set(found)
    assert not any(mode & OTHERS for mode in found.values())


async def test_a_folder_of_other_things_keeps_its_mode_and_the_database_in_it_is_private(settings: Settings) -> None:
    settings.data_dir.mkdir(mode=0o755)
    (settings.data_dir / "notes.txt").write_text("")
    found = await stored(settings)
    assert (found["keel"], found["keel.db"], found["keel.db-wal"]) == (0o755, 0o600, 0o600)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703])
def test_a_folder_of_other_things_into_which_everybody_writes_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "notes.txt").write_text("")
    tmp_path.chmod(mode)
    with pytest.raises(InvalidInput, match=f"mode {mode:04o}.*chmod 700"):
        private_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode
    tmp_path.chmod(0o700)


def test_a_file_of_another_user_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "keel.db"
    database.touch(mode=0o644)
    monkeypatch.setattr(os, "geteuid", lambda: database.stat().st_uid + 1)
    with pytest.raises(InvalidInput, match=r"mode 0644.*chmod 600"):
        private_database(database)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_pipe_in_place_of_a_file_is_refused(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"keel.db{suffix}")
    with pytest.raises(InvalidInput, match="no regular file"):
        private_database(tmp_path / "keel.db")


def test_those_who_open_a_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    """Each also makes and removes a journal, which another may just have found."""
    together = threading.Barrier(4)

    def opening() -> None:
        for number in range(200):
            database, journal = (tmp_path / f"{number}.db{suffix}" for suffix in ("", "-wal"))
            together.wait(30)
            private_database(database)
            journal.touch()
            private_database(database)
            journal.unlink(missing_ok=True)

    with ThreadPoolExecutor(4) as threads:
        for one in [threads.submit(opening) for _ in range(4)]:
            one.result()
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.db")} == {0o600}


async def test_a_linked_database_is_narrowed_where_it_lies(settings: Settings, tmp_path: Path) -> None:
    settings.data_dir.mkdir()
    (tmp_path / "disk").mkdir()
    settings.database.symlink_to(tmp_path / "disk" / "people.db")
    async with opened(settings) as store:
        await store.visit(ADA)
        found = modes(tmp_path / "disk")
    del found["disk"]
    assert found == dict.fromkeys(("people.db", "people.db-wal", "people.db-shm"), 0o600)


async def test_a_backup_is_private(settings: Settings, tmp_path: Path) -> None:
    await stored(settings)
    back_up(settings.database, tmp_path / "monday.db")
    assert stat.S_IMODE((tmp_path / "monday.db").stat().st_mode) == 0o600
