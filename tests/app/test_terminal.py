"""No text commands a terminal, whichever command prints it: window titles, overwriting, reversed letters."""

import contextlib
import io
import json
import re
import threading
import unicodedata
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from app.cli import main
from app.terminal import Screen, fail, harmless, show, table
from keel import Client

ATTACKS = {
    "title of the window": "\x1b]0;owned\x07",
    "colour": "\x1b[31mred\x1b[0m",
    "clipboard": "\x1b]52;c;cm0gLXJm\x1b\\",
    "cleared screen": "\x1b[2J\x1b[H",
    "line that is written over": "harmless\rkeel: all good",
    "backspaces": "bad\b\b\bgood",
    "control sequence in one character": "\x9b31m",
    "title in one character": "\x9d0;owned\x9c",
    "delete": "\x7f",
    "null": "\x00",
    "reversed letters": "\u202etxt.exe\u202c",
    "isolated letters": "\u2067txt.exe\u2069",
    "line separator": "one\u2028two",
    "invisible tag": "\U000e0041",
    "half a character": "\ud800",
}
ALL = " ".join(ATTACKS.values()).replace("\ud800", "")
"""All of them in one text that HTTP carries."""
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
OWN = ("\n", "\t")
APP = Path(__file__).parents[2] / "app"


def commanding(text: str) -> list[str]:
    """Characters by which a text would command a terminal."""
    return [
        character
        for character in text
        if character not in OWN
        and (
            unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
            or unicodedata.bidirectional(character) in BIDI
            or 0xE0000 <= ord(character) <= 0xE007F
        )
    ]


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_shown_and_not_carried_out(attack: str) -> None:
    assert commanding(attack)
    shown = harmless(f"before {attack} after")
    assert commanding(shown) == []
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@given(st.text(st.characters()))
def test_whatever_is_printed_commands_nothing(text: str) -> None:
    assert commanding(harmless(text)) == []


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_stays_json_and_says_the_same(text: str) -> None:
    assert json.loads(harmless(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", ["Größe: 5 €\n\tзима 冬 שלום سلام", "👩‍🔬 می‌خواهم"])
def test_ordinary_text_of_any_language_is_untouched(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_screen_shows_every_text_harmless_and_keeps_its_own_colours(
    attack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = Table(attack.replace("[", ""))
    grid.add_row(Text(attack))
    screen = Screen(force_terminal=True, color_system="standard", width=200)
    screen.print(grid, Text(attack, style="bold red"))
    screen.rule(Text(attack))
    shown = capsys.readouterr().out
    assert "\x1b[" in shown
    assert commanding(re.sub(r"\x1b\[[0-9;]*m", "", shown)) == []


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_tables_fields_and_refusals_are_harmless(attack: str, capsys: pytest.CaptureFixture[str]) -> None:
    show({"field": attack}, False, table(("a",), [(attack,)]))
    show({"field": attack, attack: 1}, False)
    show({"field": attack}, True)
    with pytest.raises(SystemExit):
        fail(attack, 1)
    said = capsys.readouterr()
    assert commanding(said.out + said.err) == []


def test_no_command_prints_past_the_terminal() -> None:
    direct = re.compile(
        r"(?<![\w.])print\(|typer\.(?:echo|secho|confirm|prompt)\(|(?<!\w)Console\(|std(?:out|err)\.write"
    )
    sources = {path.relative_to(APP): path.read_text(encoding="utf-8") for path in APP.rglob("*.py")}
    assert [str(path) for path, text in sources.items() if direct.search(text)] == ["terminal.py"]


def hostile(value: Any) -> Any:
    """A reply with the attacks in every text of it."""
    if isinstance(value, dict):
        return {name: hostile(part) for name, part in value.items()}
    if isinstance(value, list):
        return [hostile(part) for part in value]
    return f"{value} {ALL}" if isinstance(value, str) else value


@pytest.fixture
def impostor(live: str) -> Iterator[str]:
    """A service whose every reply is a real one with the attacks in all its texts."""

    class Relay(BaseHTTPRequestHandler):
        def relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {"Content-Type": "application/json"}
            real = httpx.request(self.command, f"{live}{self.path}", content=body, headers=headers, timeout=60)
            content = json.dumps(hostile(real.json())).encode()
            self.send_response(real.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = relay

        def log_message(self, *_: object) -> None: ...

    with Client(live) as client:
        question = client.ask("me")
        assert question is not None
        client.tell("me", question.question_id, "left")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["rank", ALL.replace("\x00", ""), f"Water it. {ALL}".replace("\x00", ""), "Do not."],
        ["score", "Basil?", f"Water it. {ALL}".replace("\x00", "")],
        ["ask"],
        ["profile"],
        ["audit"],
        ["export"],
        ["export", "--format", "preferences"],
        ["profile", "--json"],
        ["profile", "--user", "nobody"],
        ["rank", "Basil?", "Water it.", "--rule", "none"],
    ],
    ids=lambda arguments: " ".join(arguments)[:30].encode("unicode_escape").decode(),
)
def test_no_command_prints_what_commands_a_terminal(
    arguments: list[str], impostor: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["keel", *arguments, "--url", impostor])
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n"))
    with contextlib.suppress(SystemExit):
        main()
    said = capsys.readouterr()
    assert (said.out + said.err).strip()
    assert commanding(said.out + said.err) == []
