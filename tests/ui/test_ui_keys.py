"""A page of a service with keys: its own key makes keys of one person, and each visit uses that alone."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

import keel
from app.cli import app as command
from app.http.api import default_app
from app.settings import Settings
from tests.ui.pages import ROOT, Page, serving

pytestmark = pytest.mark.slow
MAIN = ROOT / "ui" / "main.py"


class Recorder:
    """Writes down which key asked for what."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            key = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ")
            self.asked.append((key, f"{scope['method']} {scope['path']}"))
        await self._app(scope, receive, send)


def made(folder: Path, *flags: str) -> str:
    """A new key of the tenant acme."""
    arguments = ["key", "create", "--tenant", "acme", "--data-dir", str(folder), "--json", *flags]
    return str(json.loads(CliRunner().invoke(command, arguments).stdout)["key"])


def status_of(call: Callable[..., object], *arguments: str) -> int:
    """Status of the refusal of a call."""
    with pytest.raises(keel.Problem) as refused:
        call(*arguments)
    return refused.value.status


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keyed")


@pytest.fixture(scope="module")
def pages_key(folder: Path) -> str:
    return made(folder / "data", "--scope", "delegate", "--scope", "audit")


@pytest.fixture(scope="module")
def recorded(listen, folder: Path, pages_key: str) -> Iterator[tuple[str, Recorder]]:
    """Address of a service with keys, and what it was asked."""
    recorder = Recorder(default_app(Settings(data_dir=folder / "data")))
    with listen(recorder) as address, keel.Client(address, key=made(folder / "data"), timeout=180) as client:
        client.rank("ready?", ["yes", "no"])
        yield address, recorder


@pytest.fixture(scope="module")
def page(recorded: tuple[str, Recorder], folder: Path, pages_key: str) -> Iterator[Page]:
    (folder / "key").write_text(pages_key)
    flags = ("--login", "header", "--auditors", "auditor", "--key-file", str(folder / "key"))
    with serving(folder, *flags, service=recorded[0]) as started:
        yield started


@pytest.fixture
def asked(recorded: tuple[str, Recorder]) -> list[tuple[str, str]]:
    """What the service is asked in one test."""
    recorded[1].asked.clear()
    return recorded[1].asked


def test_a_visit_uses_a_key_of_its_person_alone(page: Page, asked: list[tuple[str, str]], pages_key: str) -> None:
    for person in ("ada", "bob", "ada"):
        assert "Question 1 of about" in page.shown(X_Forwarded_User=person)
        assert "Paste a prompt" in page.shown("try", X_Forwarded_User=person)
        page.shown("profile", X_Forwarded_User=person)
    by_page = [request for key, request in asked if key == pages_key]
    assert by_page == ["POST /v1/users/ada/keys", "POST /v1/users/bob/keys"], "one key a person, and nothing else"
    for person in ("ada", "bob"):
        keys = {key for key, request in asked if key != pages_key and f"/users/{person}/" in request}
        assert len(keys) == 1
        others = [request for key, request in asked if key in keys and f"/users/{person}/" not in request]
        assert others == []


def test_a_persons_key_reaches_nobody_else(
    page: Page, asked: list[tuple[str, str]], recorded: tuple[str, Recorder]
) -> None:
    page.shown(X_Forwarded_User="eve")
    page.shown(X_Forwarded_User="ada")
    (key,) = {key for key, request in asked if request == "POST /v1/users/eve/questions"}
    with keel.Client(recorded[0], key=key) as client:
        client.ask("eve")
        for reach in (client.ask, client.export, client.profile, client.forget):
            assert status_of(reach, "ada") == 403
        assert status_of(client.latest_audit) == 403


def test_the_audit_of_everybody_uses_the_pages_own_key(
    page: Page, asked: list[tuple[str, str]], pages_key: str
) -> None:
    assert "No audit has been run yet" in page.shown("audit", X_Forwarded_User="auditor")
    assert (pages_key, "GET /v1/audits/latest") in asked
    asked.clear()
    page.shown("audit", X_Forwarded_User="ada")
    assert not [request for _, request in asked if "audits" in request]


def test_a_person_erased_elsewhere_gets_another_key(page: Page, recorded: tuple[str, Recorder], folder: Path) -> None:
    assert "Question 1 of about" in page.shown(X_Forwarded_User="ivy")
    with keel.Client(recorded[0], key=made(folder / "data")) as client:
        question = client.ask("ivy")
        assert question is not None
        client.tell("ivy", question.question_id, "left")
        client.forget("ivy")
    assert "Keel asks for another key" in page.shown(X_Forwarded_User="ivy")
    assert "Question 1 of about" in page.shown(X_Forwarded_User="ivy")


def test_after_an_erasure_the_visit_goes_on_with_another_key(
    page: Page, recorded: tuple[str, Recorder], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keel.Client(recorded[0], key=made(folder / "data")) as client:
        question = client.ask("ida")
        assert question is not None
        client.tell("ida", question.question_id, "left")
    flags = ["--url", recorded[0], "--login", "header", "--key-file", str(folder / "key")]
    monkeypatch.setattr(sys, "argv", ["run.py", *flags])
    monkeypatch.setattr("ui.session.behind_front", lambda: True)
    monkeypatch.setattr("ui.session._identified", lambda: "ida")
    visit = AppTest.from_file(MAIN, default_timeout=180).run().switch_page("profile_page.py").run()
    assert visit.header[0].value == "What Keel understood"
    for label in ("Erase everything…", "Erase for good"):
        visit = next(button for button in visit.button if button.label == label).click().run()
    assert visit.header[0].value == "Keel does not know you yet"
