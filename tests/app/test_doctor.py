"""``keel doctor`` names each kind of fault with its remedy, and changes nothing."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from old_databases import old_database
from pydantic import SecretStr
from shipped_people import join
from typer.testing import CliRunner

from app.cli import app
from app.jobs import doctor
from app.jobs.doctor import examined, report
from app.settings import Settings
from app.storage.examining import examine
from app.storage.keys import Wish, stored_keys
from app.storage.opening import opened
from app.storage.registry import Scope
from app.storage.store import PersonKey
from reward_bases.artifact import DEFAULT

pytestmark = pytest.mark.slow

ADA = PersonKey("local", "ada")
UNKNOWN = "insert into _sqlite_migrations values (99, 'keel', 'from_tomorrow', '2030')"
MISSING = "delete from _sqlite_migrations where name = 'appeals'"
FUTURE = "update people set created_at = '2999-01-01T00:00:00+00:00'"
PARTS = {"configuration", "login", "keys", "permissions", "store", "clock", "disk", "basis", "encoder"}


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A sound installation with a basis of its own and one person."""
    shutil.copytree(DEFAULT, tmp_path / "basis")
    made = Settings(data_dir=tmp_path / "data", basis=tmp_path / "basis")
    async with opened(made) as store:
        await join(store, ADA)
    return made


def faults(settings: Settings, part: str) -> list[doctor.Finding]:
    return [one for one in examined(settings) if one.part == part and one.status != "ok"]


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute(statement)
        db.commit()
    database.chmod(0o600)


def edit_card(folder: Path, edit: Callable[[Any], object]) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    edit(card)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def another_setup(card: Any) -> None:
    card["encoder"]["setup_sha256"] = "0" * 64


def test_a_sound_installation_has_no_fault(settings: Settings) -> None:
    findings = examined(settings)
    assert {one.part for one in findings} == PARTS
    assert {one.status for one in findings if one.part != "disk"} == {"ok"}


def test_nothing_is_made_or_changed(settings: Settings, tmp_path: Path) -> None:
    settings.database.chmod(0o644)
    before = {path: (path.stat().st_mode, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")}
    examined(settings)
    examined(Settings(data_dir=tmp_path / "new"))
    assert {path: (path.stat().st_mode, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("damage", "part", "said", "remedy"),
    [
        (lambda s: s.database.chmod(0o644), "permissions", "mode 0644", "chmod 600"),
        (lambda s: s.data_dir.chmod(0o755), "permissions", "mode 0755", "chmod 700"),
        (lambda s: s.database.write_bytes(b"no database" * 500), "store", "not a database", "restore a backup"),
        (lambda s: os.truncate(s.database, s.database.stat().st_size // 2), "store", "keel.db", "restore a backup"),
        (lambda s: change(s.database, UNKNOWN), "store", "from_tomorrow", "newer"),
        (lambda s: change(s.database, MISSING), "store", "appeals", "keel"),
        (lambda s: change(s.database, FUTURE), "clock", "2999", "set"),
        (lambda s: (s.basis / "guard.json").write_text("{}"), "basis", "guard.json has sha256", "restore"),
        (lambda s: (s.basis / "basis.safetensors").unlink(), "basis", "cannot be read", "restore"),
        (lambda s: edit_card(s.basis, lambda card: card.pop("guard_sha256")), "basis", "guard.json", "keel guard tune"),
        (lambda s: edit_card(s.basis, another_setup), "encoder", "0000", "restore"),
    ],
)
def test_each_kind_of_fault_is_named_with_its_remedy(
    settings: Settings, damage: Callable[[Any], object], part: str, said: str, remedy: str
) -> None:
    assert faults(settings, part) == []
    damage(settings)
    found = faults(settings, part)
    assert any(said in one.found and remedy in one.remedy for one in found), found


@pytest.mark.parametrize(("free", "status"), [(2**20, "fault"), (2**29, "warning"), (2**40, "ok")])
def test_a_full_disk_is_named(settings: Settings, free: int, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(settings.data_dir)._replace(free=free)
    monkeypatch.setattr("app.jobs.doctor.shutil.disk_usage", lambda _: usage)
    (found,) = doctor.disk(settings)
    assert (found.status, bool(found.remedy)) == (status, status != "ok")


def test_secrets_of_a_provider_that_others_may_read_and_a_provider_in_part_are_faults(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "oidc.toml"
    there = settings.model_copy(update={"login": "oidc", "oidc_file": file})
    assert [one.status for one in faults(there, "login")] == ["fault"]
    parts = ("cookie_secret", "client_id", "client_secret", "server_metadata_url")
    lines = [f'{name} = "{32 * "x"}"' for name in parts]
    file.write_text("\n".join(["[auth]", 'redirect_uri = "http://localhost:8501/oauth2callback"', *lines]))
    file.chmod(0o644)
    assert [one.remedy for one in faults(there, "login")] == [f"chmod 600 {file}"]
    file.chmod(0o600)
    assert faults(there, "login") == []


async def test_a_page_that_keys_would_keep_from_starting_is_named(settings: Settings) -> None:
    async with stored_keys(settings) as keys:
        _, presented = await keys.create("acme")
    assert [(one.status, "KEEL_KEY" in one.found) for one in faults(settings, "login")] == [("warning", True)]
    holding = settings.model_copy(update={"key": SecretStr(presented)})
    assert [(one.status, "KEEL_LOGIN" in one.found) for one in faults(holding, "login")] == [("warning", True)]
    assert faults(holding.model_copy(update={"login": "header"}), "login") == []


async def test_keys_with_all_scopes_and_keys_that_expire_within_a_week_are_warnings(settings: Settings) -> None:
    now = datetime.now(UTC)
    narrow, later = Wish(frozenset({Scope.SCORE})), (now + timedelta(days=8)).isoformat()
    async with stored_keys(settings) as keys:
        await keys.create("acme", narrow)
        await keys.create("acme", replace(narrow, expires_at=later))
        assert faults(settings, "keys") == []
        whole, _ = await keys.create("acme")
        ending, _ = await keys.create("acme", replace(narrow, expires_at=(now + timedelta(days=6)).isoformat()))
        _, maker = await keys.create("acme", Wish(frozenset({Scope.DELEGATE})))
        await keys.delegate(await keys.grant(maker), "ada", 3600)
        found = faults(settings, "keys")
        assert [one.status for one in found] == ["warning", "warning"]
        assert [whole.key_id in found[0].found, ending.key_id in found[1].found] == [True, True]
        assert "expire soon: " in found[1].found
        assert found[1].found.startswith("1 ")
        for key in (whole, ending):
            await keys.revoke(key.key_id)
        assert faults(settings, "keys") == []


async def test_keys_from_before_there_were_scopes_are_warned_of_in_a_database_that_was_not_migrated(
    tmp_path: Path,
) -> None:
    old = old_database("0.1.0", tmp_path)
    assert "scopes_of_keys" in examine(old.file).missing
    (found,) = doctor.keys(examine(old.file))
    assert (found.status, found.found.split()[0]) == ("warning", "2")


def test_a_misspelt_variable_is_a_warning(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_PROT", "secret-value")
    (found,) = faults(settings, "configuration")
    assert "did you mean KEEL_PORT?" in found.found
    assert "secret-value" not in json.dumps(report(examined(settings)))


def test_every_finding_that_is_not_ok_has_a_remedy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_PROT", "1")
    settings.database.chmod(0o666)
    (Path(str(settings.basis)) / "guard.json").write_text("{}")
    bad = [one for one in examined(settings) if one.status != "ok"]
    assert len(bad) >= 3
    assert all(one.remedy for one in bad)


async def test_a_database_in_use_is_examined(settings: Settings) -> None:
    async with opened(settings) as store:
        await join(store, PersonKey("local", "bob"))
        assert examine(settings.database).damage == ""
        assert examine(settings.database).latest is not None


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_command_prints_one_object_or_a_table_and_ends_with_1_for_a_fault(settings: Settings, mode: int) -> None:
    settings.database.chmod(mode)
    arguments = ["doctor", "--data-dir", str(settings.data_dir), "--basis", str(settings.basis)]
    result, shown = (CliRunner().invoke(app, [*arguments, *more]) for more in (["--json"], []))
    assert result.exit_code == shown.exit_code == (mode == 0o644)
    assert json.loads(result.stdout)["ok"] == (mode == 0o600)
    assert {one["part"] for one in json.loads(result.stdout)["findings"]} == PARTS
    assert all(part in shown.stdout for part in PARTS - {"configuration"})
