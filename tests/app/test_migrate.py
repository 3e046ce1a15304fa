"""Moving people to another population: explicit, reported, and what was pinned before stays what it was."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from test_cli import run
from typer.testing import CliRunner, Result

from app.cli import app
from app.jobs.migrating import require_servable
from app.profiles.artifact_history import packed, unpacked
from app.profiles.profiles import Profiles
from app.settings import Settings
from app.storage.opening import open_store, opened
from elicitation.errors import InvalidInput
from keel import Client, Conflict, NotFound
from reward_bases.artifact import DEFAULT, load_artifact

Serve = Callable[[Settings], AbstractContextManager[Client]]
TEXTS = (["How do I keep basil alive?"] * 2, ["Water it.", "Six hours of light, then look at the soil."])
NAMES = load_artifact().basis.names


def told(client: Client, user_id: str, *choices: str) -> str:
    """The version after these answers."""
    version = ""
    for choice in choices:
        question = client.ask(user_id, force=True)
        assert question is not None
        version = client.tell(user_id, question.question_id, choice).profile_version
    return version


def migrate(data: Path, basis: Path, *flags: str, typed: str | None = None) -> Result:
    command = ["migrate", "--data-dir", str(data), "--basis", str(basis), *flags]
    return CliRunner().invoke(app, command, input=typed, env={"COLUMNS": "200"})


def served(settings: Settings) -> list[str]:
    async def history() -> list[str]:
        async with opened(settings) as store:
            return [entry.digest for entry in await store.registry.served()]

    return asyncio.run(history())


def require(settings: Settings, folder: Path) -> None:
    """As ``keel serve`` does before it opens a port."""
    store = open_store(settings)
    asyncio.run(require_servable(settings, Profiles(store, load_artifact(folder), 1)))


@pytest.mark.slow
def test_old_versions_are_readable_and_can_be_pinned_after_a_move_and_a_move_back(
    serve: Serve, other: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with serve(Settings(data_dir=data)) as client:
        first, last = told(client, "ada", "left"), told(client, "ada", "right", "left")
        bobs = told(client, "bob", "left")
        profiles = {version: client.profile("ada", version=version) for version in (first, last)}
        rewards = {version: client.score(*TEXTS, user_id="ada", profile_version=version) for version in (first, last)}
    assert migrate(data, other, "--yes").exit_code == 0
    with serve(Settings(data_dir=data, basis=other)) as client:
        for version in (first, last):
            assert client.profile("ada", version=version) == profiles[version]
            assert client.score(*TEXTS, user_id="ada", profile_version=version) == rewards[version]
        moved = client.profile("ada")
        assert moved.version.split("-")[0] == last.split("-")[0]
        assert moved.answered == 3
        new = client.score(*TEXTS, user_id="ada", profile_version=moved.version)
        assert new.rewards != rewards[last].rewards
        many = {"ada": last, "bob": bobs}
        both = client.score(*TEXTS, user_ids=["ada", "bob"], profile_versions=many)
        assert both.rewards[0] == rewards[last].rewards[0]
        assert both.profile_versions == many
        with pytest.raises(Conflict, match="2 bases"):
            client.score(*TEXTS, user_ids=["ada", "bob"], profile_versions=many | {"ada": moved.version})
        with pytest.raises(Conflict, match="basis_version"):
            client.score(*TEXTS, user_id="ada", profile_version=last, basis_version="another")
        with pytest.raises(Conflict, match="another basis"):
            client.score(*TEXTS, user_id="ada", profile_version="1-0123456789ab")
    assert migrate(data, DEFAULT, "--yes").exit_code == 0
    with serve(Settings(data_dir=data)) as client:
        assert client.profile("ada") == profiles[last]
        assert client.score(*TEXTS, user_id="ada", profile_version=moved.version) == new


@pytest.mark.slow
def test_a_person_erased_after_a_move_is_forgotten_under_every_version(
    serve: Serve, other: Path, tmp_path: Path
) -> None:
    with serve(Settings(data_dir=tmp_path / "data")) as client:
        version = told(client, "ada", "left")
    with serve(Settings(data_dir=tmp_path / "data", basis=other)) as client:
        before = client.profile("ada", version=version)
        assert [head.mean for head in before.heads] != [head.aggregate for head in before.heads]
        client.forget("ada")
        with pytest.raises(NotFound):
            client.profile("ada", version=version)
        told(client, "ada", "skip")
        with pytest.raises(NotFound, match="somebody else"):
            client.profile("ada", version=version)
        with pytest.raises(NotFound, match="somebody else"):
            client.score(*TEXTS, user_id="ada", profile_version=version)


@pytest.mark.slow
def test_moving_is_explicit_and_says_what_changes_for_whom(serve: Serve, other: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve(Settings(data_dir=data)) as client:
        told(client, "ada", "left", "left")
        client.ask("visitor")
        before = client.profile("ada")
    settings = Settings(data_dir=data, basis=other)
    with pytest.raises(InvalidInput, match=r"1 people .* keel migrate --data-dir \S+ --basis \S+other"):
        require(settings, other)
    refused = run("serve", "--no-ui", "--data-dir", str(data), "--basis", str(other), KEEL_PORT="0")
    assert refused.returncode != 0
    declined = migrate(data, other, typed="n\n")
    assert declined.exit_code == 1
    assert "Move 1 people" in declined.stderr
    assert "ada" in declined.stdout
    assert len(served(settings)) == 1

    moved = json.loads(migrate(data, other, "--yes", "--json").stdout)
    (person,) = moved["people"]
    assert (person["tenant"], person["user_id"]) == ("local", "ada")
    assert person["old_version"] == before.version
    require(settings, other)
    with pytest.raises(InvalidInput, match="serve what was served before"):
        require(Settings(data_dir=data), DEFAULT)
    with serve(settings) as client:
        after = client.profile("ada")
    assert person["new_version"] == after.version
    changes = {old.name: new.guarded - old.guarded for old, new in zip(before.heads, after.heads, strict=True)}
    assert person["head"] == max(changes, key=lambda name: abs(changes[name]))
    assert person["change"] == pytest.approx(changes[person["head"]])
    again = migrate(data, other)
    assert again.exit_code == 0
    assert "nothing to do" in again.stderr


def test_without_a_database_or_people_there_is_nothing_to_move(other: Path, tmp_path: Path) -> None:
    assert isinstance(migrate(tmp_path / "none", other, "--yes").exception, InvalidInput)
    data = tmp_path / "data"
    data.mkdir()
    settings = Settings(data_dir=data)

    async def create() -> None:
        async with opened(settings):
            pass

    asyncio.run(create())
    require(settings, other)
    assert json.loads(migrate(data, other, "--yes", "--json").stdout)["people"] == []


def test_the_archive_keeps_an_artifact_whole_and_leaves_its_people_out(other: Path) -> None:
    (other / "people.json").write_text('{"ids": ["zebediah"]}')
    (other / "encoder").mkdir()
    (other / "encoder" / "weights").write_bytes(b"x" * 10)
    files = packed(other)
    assert b"people" not in files
    assert b"encoder/" not in files
    copy, original = unpacked(files), load_artifact(other)
    assert copy.population_version == original.population_version
    assert copy.basis.version == original.basis.version
    assert copy.budget == original.budget
    assert len(files) < 2_000_000
