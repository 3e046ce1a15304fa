"""What is published is the client alone; a checkout gives the whole service and its command."""

import tomllib
import zipfile
from pathlib import Path

import pytest
from environments import ROOT, Environment

pytestmark = pytest.mark.slow


def test_the_wheel_holds_the_client_and_its_metadata_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "keel/client.py" in names
    assert "keel/py.typed" in names
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {name.split("/")[0] for name in names} == {"keel", f"keel_rewards-{version}.dist-info"}


def test_the_wheel_asks_for_httpx_alone(wheel: Path) -> None:
    (metadata,) = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA")]
    lines = zipfile.ZipFile(wheel).read(metadata).decode().splitlines()
    needed = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert len(needed) == 1
    assert needed[0].startswith("Requires-Dist: httpx")


def test_the_client_works_where_the_wheel_alone_is_installed(client_only: Environment, tmp_path: Path) -> None:
    done = client_only.run(client_only.python, "-c", "import keel; print(keel.Client, keel.__file__)", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(client_only.folder) in done.stdout


def test_the_command_of_the_client_alone_says_what_to_do_in_one_sentence(
    client_only: Environment, tmp_path: Path
) -> None:
    done = client_only.run(client_only.keel, "serve", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "run from a checkout" in done.stderr
    assert "make run" in done.stderr


def test_the_command_of_a_checkout_works_from_any_folder(checkout: Environment, tmp_path: Path) -> None:
    done = checkout.run(checkout.keel, "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for command in ("serve", "ask", "train", "audit"):
        assert command in done.stdout
    where = checkout.run(checkout.python, "-c", "import app; print(app.__file__)", folder=tmp_path)
    assert Path(where.stdout.strip()) == ROOT / "app/__init__.py"


def test_a_checkout_without_a_library_of_the_service_names_it_and_what_to_do(
    checkout: Environment, tmp_path: Path
) -> None:
    code = "import sys; sys.modules['typer'] = None; from keel.command import main; main()"
    done = checkout.run(checkout.python, "-c", code, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"typer is not installed; run `pip install -e '.[service]'` in {ROOT}\n"
