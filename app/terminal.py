"""The terminal: tables on standard output, questions on standard error.

Whatever a command prints goes through ``say`` or a ``Screen``, which make it harmless: a text of somebody else's could
otherwise set the window's title, overwrite what stands above it, or change the order in which letters are read.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

import typer
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, RenderableType
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from elicitation.errors import KeelError
from keel import Client, Problem, Question, Told, Undone
from keel import KeelError as ClientError

HELP = "l left, r right (L, R: clearly better), s about the same, k skip, b both poor, u undo, q quit"
CHOICES = {"l": "left", "r": "right", "s": "same", "k": "skip", "b": "both_poor"}
SHOWN_CHARS = 60
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, delete, C1
    "\u2028-\u202e\u2066-\u2069"  # line separators, embeddings, overrides and isolates of direction
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"  # half characters, annotations, invisible tags
)


def harmless(text: str) -> str:
    """The text with what would command a terminal written as JSON writes it, like ``\\u001b``."""
    return CONTROLS.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _utf16(found[0])), text)


def _utf16(character: str) -> list[int]:
    code = ord(character)
    return [code] if code < 0x10000 else [0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code & 0x3FF)]


def say(text: str, err: bool = False) -> None:
    """A line on standard output, or on standard error."""
    typer.echo(harmless(text), err=err)


def confirm(question: str) -> None:
    """Ends the command unless the answer is yes."""
    typer.confirm(harmless(question), abort=True, err=True)


class Screen(Console):
    """A console on which every text is harmless; colours and movements of Rich's own stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


def show(result: Any, as_json: bool, table: Table | None = None) -> None:
    """The result on standard output: one JSON object, or the table, or its fields line by line."""
    fields: dict[str, Any] = asdict(result) if is_dataclass(result) and not isinstance(result, type) else dict(result)
    if as_json:
        say(json.dumps(fields))
    elif table is not None:
        Screen().print(table)
    else:
        for name, value in fields.items():
            say(f"{name}: {value}")


def fail(message: str, code: int) -> None:
    """Say what is wrong on standard error and end."""
    say(f"keel: {message}", err=True)
    raise SystemExit(code)


@contextmanager
def told() -> Iterator[None]:
    """Where what runs inside is refused, one sentence on standard error and the end of the process."""
    try:
        yield
    except RecursionError:
        fail("a file or a reply is nested too deeply to be read; it is none that keel wrote", 1)
    except (KeelError, ClientError) as error:
        fail(str(error), 1)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], shortened: bool = True) -> Table:
    """A table whose numbers show three decimals and whose texts are shortened, or wrapped."""
    built = Table(*headings)
    for row in rows:
        built.add_row(*(Text(_cell(value) if shortened else harmless(str(value))) for value in row))
    return built


def converse(client: Client, user: str) -> dict[str, Any]:
    """Ask until done or stopped; returns the person's progress."""
    screen = Screen(stderr=True)
    while (question := client.ask(user)) is not None:
        _show_question(screen, question)
        told = _answer(screen, client, user, question)
        if told is None:
            break
    else:
        screen.print("No further question is worth asking.")
    profile = client.profile(user)
    return {"user_id": user, "profile_version": profile.version, "answered": profile.answered}


def _show_question(screen: Screen, question: Question) -> None:
    screen.rule(f"Question {question.number} of about {question.expected_total}")
    prompt = question.prompt if isinstance(question.prompt, str) else "\n".join(m["content"] for m in question.prompt)
    screen.print(Text(harmless(prompt), style="bold"))
    sides = (("left", question.left), ("right", question.right))
    width = max(30, screen.width // 2 - 2)
    screen.print(Columns([Panel(Text(harmless(text)), title=side, width=width) for side, text in sides]))
    screen.print(Text(HELP, style="dim"))


def _answer(screen: Screen, client: Client, user: str, question: Question) -> Told | Undone | None:
    """The result of the question; None to stop."""
    while True:
        try:
            typed = screen.input("> ").strip()
        except EOFError:
            return None
        if typed in ("q", "quit"):
            return None
        if typed in ("u", "undo"):
            try:
                return client.undo(user)
            except Problem as problem:
                screen.print(Text(problem.detail))
        elif typed.lower() in CHOICES:
            strength = "clear" if typed in ("L", "R") else None
            return client.tell(user, question.question_id, CHOICES[typed.lower()], strength=strength)
        else:
            screen.print(Text(f"{typed!r} is no answer: {HELP}"))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return textwrap.shorten(harmless(str(value)), SHOWN_CHARS, placeholder="…") if value is not None else "-"
