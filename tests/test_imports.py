"""The floors of the house: imports only run downward."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    "elicitation": set(),
    "reward_bases": {"elicitation"},
    "safeguards": {"elicitation", "reward_bases"},
    "app": {"elicitation", "reward_bases", "safeguards", "keel"},
    "keel": set(),
    "ui": {"keel"},
}
OURS = set(FLOORS) | {"bench"}
ONLY_IN = {
    "fastapi": {"app"},
    "sqlite3": {"app"},
    "sqlite_utils": {"app"},
    "streamlit": {"ui"},
    "botorch": {"elicitation"},
    "gpytorch": {"elicitation"},
    "transformers": {"reward_bases"},
    "pickle": set(),
}


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module.split(".")[0])
    return modules


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_only_the_floors_below(floor: str) -> None:
    files = list((ROOT / floor).rglob("*.py"))
    assert files, f"{floor}/ holds no modules"
    for path in files:
        allowed = FLOORS[floor] | {floor}
        assert imported_modules(path) & OURS <= allowed, path


@pytest.mark.parametrize("floor", FLOORS)
def test_a_library_stays_on_its_floor(floor: str) -> None:
    for path in (ROOT / floor).rglob("*.py"):
        strangers = {m for m in imported_modules(path) if m in ONLY_IN and floor not in ONLY_IN[m]}
        assert not strangers, path


@pytest.mark.parametrize("floor", sorted(set(FLOORS) - {"app"}))
def test_only_the_service_reads_the_environment(floor: str) -> None:
    for path in (ROOT / floor).rglob("*.py"):
        names = {n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)}
        assert not names & {"environ", "getenv"}, path
