"""The README tells the truth: its commands, targets, links and example exist and run."""

import re
from pathlib import Path

import pytest
import typer.main

from app.cli import app
from keel import Client

ROOT = Path(__file__).parent.parent
PORCH = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")]
DOCUMENTS = [*PORCH, *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_target_exists(document: Path) -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    text = document.read_text()
    assert set(re.findall(r"\.venv/bin/keel ([a-z]+)", text)) <= commands
    shell = "\n".join(blocks(text, "sh"))
    assert set(re.findall(r"^make ([a-z]+)", shell, re.M)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text())
    assert all((document.parent / link).exists() for link in links), links


def test_every_flag_of_a_command_exists() -> None:
    for block in blocks((ROOT / "README.md").read_text(), "sh"):
        for line in re.findall(r"\.venv/bin/keel ([^#\n]+)", block):
            command = typer.main.get_command(app)
            for word in line.split():
                command = getattr(command, "commands", {}).get(word, command)
            known = {flag for parameter in command.params for flag in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", line)) <= known, line


@pytest.mark.slow
def test_the_python_example_runs(live: str, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks((ROOT / "README.md").read_text(), "python")
    exec(example.replace("http://127.0.0.1:8765", live), {})
    assert capsys.readouterr().out.strip().endswith("1.0")
    with Client(live) as keel:
        assert keel.profile("ada").answered == 1
