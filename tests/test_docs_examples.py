"""The examples of the client's rewards run as the pages show them, and print what their comments say."""

import random
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
ADDRESS = "http://127.0.0.1:8765"
LOSS = {0.1: 0.0, 0.4: 0.05, 0.7: 0.1, 1.0: 0.9}


def example(page: str, section: str) -> str:
    """The one Python block of a section."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (part,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    (block,) = re.findall(r"```python\n(.*?)```", part, re.S)
    return str(block)


def promised(block: str) -> list[str]:
    lines = re.findall(r"^print\(.*\)  # (.*)$", block, re.M)
    assert lines, "an example prints something and says what"
    return lines


def printed(block: str, capsys: pytest.CaptureFixture[str], **names: Any) -> list[str]:
    exec(block, names)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("page", "section"), [("trainers.md", "Best of n"), ("uncertainty.md", "Rewards for trainers")]
)
def test_an_example_prints_what_it_says(page: str, section: str, capsys: pytest.CaptureFixture[str]) -> None:
    block = example(page, section)
    assert printed(block, capsys) == promised(block)


@pytest.mark.parametrize("seed", range(3))
def test_the_budget_is_found_by_trials(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(seed)

    def trial(mix: float) -> tuple[float, float]:
        share = round(1 - mix, 9)
        return float(draw.random() < LOSS[share]), float(draw.random() < share)

    block = example("guard.md", "Tuning a budget online")
    assert printed(block, capsys, trial=trial) == promised(block)


@pytest.mark.slow
def test_verdicts_of_the_service_become_unbiased_rewards(live: str, capsys: pytest.CaptureFixture[str]) -> None:
    block = example("gate.md", "Correcting a reward for it").replace(ADDRESS, live)
    assert printed(block, capsys) == promised(block)
