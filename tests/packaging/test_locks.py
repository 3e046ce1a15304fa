"""The lists of exact versions: everything that is needed is in them with its hash, and another file is refused."""

import hashlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from environments import OFFLINE, ROOT, Environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow

LISTS = sorted(ROOT.glob("requirements*.txt"))
FLAGS = re.search(r"^LOCKED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_LISTED = {"torch"}


def entries(path: Path) -> list[list[str]]:
    """The requirement and the hashes of each package of a list."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE)
    return [[part.strip() for part in entry.split("\\\n")] for entry in re.split(r"\n(?=\S)", text.strip())]


def pinned(name: str) -> dict[str, str]:
    """Package → version of a list."""
    found = [Requirement(entry[0]) for entry in entries(ROOT / name)]
    return {canonicalize_name(one.name): next(iter(one.specifier)).version for one in found}


def needed(*wanted: Requirement) -> dict[str, list[Requirement]]:
    """What these need here, directly or not, by package; what is installed says so."""
    found: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = list(wanted)
    while queue:
        one = queue.pop()
        name = canonicalize_name(one.name)
        found.setdefault(name, []).append(one)
        if (name, frozenset(one.extras)) in seen:
            continue
        seen.add((name, frozenset(one.extras)))
        inner = [Requirement(text) for text in requires(name) or ()]
        extras = ["", *one.extras]
        queue += [r for r in inner if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in extras)]
    return found


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_a_list_names_one_version_and_hashes_of_each_package_and_no_place_to_get_it(path: Path) -> None:
    packages = entries(path)
    assert packages
    for requirement, *hashes in packages:
        assert re.match(r"[\w.-]+==[^=]+$", requirement.split(" ;")[0]), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), requirement
    assert "://" not in path.read_text()


@pytest.mark.parametrize(("name", "extra"), [("requirements.txt", "service"), ("requirements-dev.txt", "dev")])
def test_everything_that_is_needed_is_listed_in_a_version_that_will_do(name: str, extra: str) -> None:
    extras = {extra, "service"}
    wanted = [Requirement(text) for one in extras for text in PROJECT["project"]["optional-dependencies"][one]]
    wanted = [one for one in wanted if one.name != PROJECT["project"]["name"]]
    versions = pinned(name)
    found = needed(*wanted)
    assert len(found) > 90
    assert {package for package in found if package not in versions} == NOT_LISTED
    wrong = [
        str(one)
        for package, all_of in found.items()
        for one in all_of
        if package in versions and not one.specifier.contains(versions[package], prereleases=True)
    ]
    assert not wrong


def test_the_service_has_the_same_versions_with_and_without_what_develops_it() -> None:
    service, everything = pinned("requirements.txt"), pinned("requirements-dev.txt")
    assert {name: everything.get(name) for name in service} == service


def test_torch_is_installed_in_the_version_that_the_project_asks_for() -> None:
    (torch,) = [text for text in PROJECT["project"]["optional-dependencies"]["service"] if text.startswith("torch")]
    assert f"TORCH := {torch}\n" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("kind", ["its own", "changed", "missing"])
def test_a_file_is_installed_under_its_own_hash_alone(
    kind: str, wheel: Path, environment: Environment, tmp_path: Path
) -> None:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    changed = ("0" if digest[0] != "0" else "1") + digest[1:]
    hashed = {"its own": f" --hash=sha256:{digest}", "changed": f" --hash=sha256:{changed}", "missing": ""}[kind]
    (tmp_path / "list.txt").write_text(f"keel-rewards=={PROJECT['project']['version']}{hashed}\n")
    assert FLAGS is not None
    flags = [*FLAGS[1].split(), *OFFLINE, "--find-links", str(wheel.parent)]
    command = [sys.executable, "-m", "pip", "--python", str(environment.python), "install", *flags]
    done = subprocess.run([*command, "-r", str(tmp_path / "list.txt")], capture_output=True, text=True)
    assert (done.returncode == 0) == (kind == "its own"), done.stderr
    if kind != "its own":
        assert "hash" in done.stderr.lower()
