"""``keel backup``: one file, taken while answers come in, from which a service answers as before."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.settings import Settings
from app.storage.backup import back_up
from elicitation.errors import InvalidInput
from keel import Client, NotFound

Serve = Callable[[Settings], AbstractContextManager[Client]]
WRITERS, ANSWERS = 3, 6


def command(data: Path, file: Path) -> Result:
    return CliRunner().invoke(app, ["backup", str(file), "--data-dir", str(data), "--json"])


def answer(client: Client, user_id: str, times: int) -> None:
    for _ in range(times):
        question = client.ask(user_id, force=True)
        assert question is not None
        client.tell(user_id, question.question_id, "left")


@pytest.mark.slow
def test_a_copy_taken_while_people_answer_is_whole_and_holds_a_prefix_of_every_log(
    live: str, settings: Settings, tmp_path: Path
) -> None:
    def write(name: str) -> None:
        with Client(live) as client:
            answer(client, name, ANSWERS)

    with Client(live) as client:
        answer(client, "first", 1)
    writers = [threading.Thread(target=write, args=(f"user-{i}",)) for i in range(WRITERS)]
    for writer in writers:
        writer.start()
    copies = [tmp_path / f"copy-{i}" for i in range(4)]
    said = [json.loads(command(settings.data_dir, file).stdout) for file in copies]
    for writer in writers:
        writer.join()
    for file, counts in zip(copies, said, strict=True):
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("pragma integrity_check").fetchone() == ("ok",)
            lengths = db.execute("select count(*), max(position) from answer_log group by user_id").fetchall()
        assert all(count == last for count, last in lengths)
        assert sum(count for count, _ in lengths) == counts["answers"] <= 1 + WRITERS * ANSWERS
        assert file.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


@pytest.mark.slow
def test_a_service_on_the_restored_copy_answers_the_same(serve: Serve, tmp_path: Path) -> None:
    texts = (["How do I keep basil alive?"] * 2, ["Water it.", "Six hours of light, then look at the soil."])
    with serve(Settings(data_dir=tmp_path / "data")) as client:
        answer(client, "ada", 3)
        before = client.profile("ada")
        pinned = f"1-{before.version.partition('-')[2]}"
        rewards = [client.score(*texts, user_id="ada", profile_version=version).rewards for version in (None, pinned)]
        assert command(tmp_path / "data", tmp_path / "copy").exit_code == 0
        answer(client, "ada", 1)
        client.forget("ada")
    (tmp_path / "restored").mkdir()
    shutil.copy(tmp_path / "copy", tmp_path / "restored" / "keel.db")
    with serve(Settings(data_dir=tmp_path / "restored")) as client:
        assert client.profile("ada") == before
        again = [client.score(*texts, user_id="ada", profile_version=version).rewards for version in (None, pinned)]
        assert again == rewards
    with serve(Settings(data_dir=tmp_path / "data")) as client, pytest.raises(NotFound):
        client.profile("ada")


def test_nothing_is_written_over_or_left_half(settings: Settings, live: str, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(InvalidInput, match="exists"):
        back_up(settings.database, taken)
    assert taken.read_text() == "mine"
    with pytest.raises(InvalidInput, match="cannot be written"):
        back_up(settings.database, tmp_path / "no" / "such" / "folder")
    nowhere = command(tmp_path / "empty", tmp_path / "copy")
    assert isinstance(nowhere.exception, InvalidInput)
    assert not (tmp_path / "copy").exists()


def test_a_damaged_database_is_not_passed_on_as_a_backup(tmp_path: Path) -> None:
    database = tmp_path / "keel.db"
    with closing(sqlite3.connect(database)) as db:
        db.execute("create table people (user_id text)")
        db.execute("create table answer_log (user_id text)")
        db.execute("create index by_user on people (user_id)")
        db.executemany("insert into people values (?)", [(f"user {i}" * 50,) for i in range(200)])
        db.commit()
    content = bytearray(database.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2048] = b"\xff" * 2048
    database.write_bytes(content)
    with pytest.raises(InvalidInput, match="damaged"):
        back_up(database, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["keel.db"]
