"""Settings: the user's keel.toml under the environment under flags; a file of the current folder is not read."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError
from settings_page import COMMAND, page

from app.settings import Settings, misspelt_variables, notices, own_file, unread_file
from elicitation.errors import InvalidInput

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder and the user's own, both empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The user's own file of settings."""
    (tmp_path / "home" / "keel").mkdir(parents=True)
    return tmp_path / "home" / "keel" / "keel.toml"


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    line = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=False, timeout=180)


def test_flags_beat_the_environment_and_the_environment_the_file(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().port == 8765
    own.write_text("port = 1001\nui_port = 1002\nmax_items = 7\n")
    monkeypatch.setenv("KEEL_PORT", "2001")
    monkeypatch.setenv("KEEL_UI_PORT", "2002")
    settings = Settings(port=3001)
    assert (settings.port, settings.ui_port, settings.max_items) == (3001, 2002, 7)


def test_an_unknown_name_in_the_file_is_an_error(own: Path) -> None:
    own.write_text("prot = 1001\n")
    with pytest.raises(ValidationError, match="prot"):
        Settings()


def test_a_file_of_the_current_folder_is_not_read_and_the_way_to_read_it_is_said() -> None:
    assert unread_file() is None
    Path("keel.toml").write_text('url = "http://elsewhere"\n')
    assert Settings().base_url == "http://127.0.0.1:8765"
    (said,) = notices()
    assert "keel --config keel.toml" in said
    assert str(own_file()) in said


def test_the_file_that_is_named_is_read_in_place_of_the_own_one(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.write_text("port = 1001\nui_port = 1002\n")
    Path("keel.toml").write_text("port = 2001\n")
    monkeypatch.setenv("KEEL_CONFIG", "keel.toml")
    assert (Settings().port, Settings().ui_port) == (2001, 8501)
    assert notices() == []


def test_a_named_file_that_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_CONFIG", "gone.toml")
    with pytest.raises(InvalidInput, match=r"gone\.toml"):
        Settings()


@pytest.mark.parametrize("folder", ["", "relative", "."])
def test_a_user_folder_that_is_relative_to_the_current_one_does_not_count(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", folder)
    assert own_file() == Path.home() / ".config/keel/keel.toml"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("KEEL_PROT", "KEEL_PORT"),
        ("KEEL_DATADIR", "KEEL_DATA_DIR"),
        ("keel_data_dri", "KEEL_DATA_DIR"),
        ("KEEL_MAX_ITEM", "KEEL_MAX_ITEMS"),
        ("KEEL_CONFG", "KEEL_CONFIG"),
        ("KEEL_ZZZZZZZZZZZZZZZ", None),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest_name(
    name: str, near: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert misspelt_variables() == {}
    monkeypatch.setenv(name, "1")
    assert misspelt_variables() == {name: near}
    (said,) = notices()
    assert name in said
    assert near is None or near in said


@pytest.mark.parametrize("name", ["KEEL_PORT", "keel_port", "KEEL_KEY", "KEEL_CONFIG", "KEELHAUL"])
def test_a_variable_that_is_a_setting_or_another_programs_is_not_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert misspelt_variables() == {}


class Thief(BaseHTTPRequestHandler):
    """Writes down the keys it is sent."""

    def do_GET(self) -> None:
        self.server.keys.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def thief() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Thief)
    server.keys = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_file_of_the_current_folder_gets_no_key(thief: HTTPServer) -> None:
    Path("keel.toml").write_text(f'url = "http://127.0.0.1:{thief.server_port}"\n')
    secret = {"KEEL_KEY": "secret", "KEEL_PORT": "9"}
    result = command("profile", **secret)
    assert "keel.toml is not read" in result.stderr
    assert thief.keys == []  # type: ignore[attr-defined]
    command("--config", "keel.toml", "profile", **secret)
    assert thief.keys == ["Bearer secret"]  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_start_names_misspelt_variables_and_what_is_in_force(own: Path) -> None:
    own.write_text("port = 4321\n")
    shown = command("serve", "--help", KEEL_PROT="1", COLUMNS="120")
    assert "4321" in shown.stdout
    assert "KEEL_PROT is no setting; did you mean KEEL_PORT?" in shown.stderr


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


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert (Path(__file__).parents[2] / "docs/settings.md").read_text() == page(), f"run: {COMMAND}"


def test_the_settings_page_has_every_setting_with_its_meaning_and_limits() -> None:
    rows = {cells[1]: cells for line in page().splitlines() if len(cells := line.split(" | ")) == 6}
    for name, field in Settings.model_fields.items():
        assert field.description
        assert rows[f"`KEEL_{name.upper()}`"][5] == f"{field.description} |"
    assert rows["`KEEL_PORT`"][2:5] == ["`--port`", "`8765`", "at least 1, at most 65535"]
    assert rows["`KEEL_UNKNOWN_PERSON`"][2:5] == ["", "`refuse`", "`refuse`, `aggregate`"]
