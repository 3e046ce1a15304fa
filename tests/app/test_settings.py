"""Settings: keel.toml under the environment under flags."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from settings_page import COMMAND, page

from app.settings import Settings


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_beat_the_environment_and_the_environment_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().port == 8765
    Path("keel.toml").write_text("port = 1001\nui_port = 1002\nmax_items = 7\n")
    monkeypatch.setenv("KEEL_PORT", "2001")
    monkeypatch.setenv("KEEL_UI_PORT", "2002")
    settings = Settings(port=3001)
    assert (settings.port, settings.ui_port, settings.max_items) == (3001, 2002, 7)


def test_an_unknown_name_in_the_file_is_an_error() -> None:
    Path("keel.toml").write_text("prot = 1001\n")
    with pytest.raises(ValidationError, match="prot"):
        Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("keel.org", False),
    ],
)
def test_which_hosts_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert Settings(host=host).loopback == loopback


def test_addresses_name_host_and_port() -> None:
    settings = Settings(host="::1", port=80, ui_port=81)
    assert (settings.address, settings.ui_address, settings.base_url) == (
        "http://[::1]:80",
        "http://[::1]:81",
        settings.address,
    )
    assert Settings(url="http://elsewhere").base_url == "http://elsewhere"


def test_the_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "a" / "b")
    settings.create_data_dir()
    assert settings.database.parent.is_dir()
    assert settings.database.parent.stat().st_mode & 0o077 == 0


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert (Path(__file__).parents[2] / "docs/settings.md").read_text() == page(), f"run: {COMMAND}"


def test_the_settings_page_has_every_setting_with_its_meaning_and_limits() -> None:
    rows = {cells[1]: cells for line in page().splitlines() if len(cells := line.split(" | ")) == 6}
    for name, field in Settings.model_fields.items():
        assert field.description
        assert rows[f"`KEEL_{name.upper()}`"][5] == f"{field.description} |"
    assert rows["`KEEL_PORT`"][2:5] == ["`--port`", "`8765`", "at least 1, at most 65535"]
    assert rows["`KEEL_UNKNOWN_PERSON`"][2:5] == ["", "`refuse`", "`refuse`, `aggregate`"]
