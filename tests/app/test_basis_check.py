"""``keel basis check``: what it says of heads and of sources."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app import cli
from app.jobs.checking import SourceCheck, check, sources_of
from reward_bases.artifact import Artifact
from reward_bases.sources.entry import SourceEntry


def checked(artifact: Artifact, folder: Path, name: str) -> SourceCheck:
    entry = SourceEntry("own", "function", f"restless:{name} 1", ("length",), {"call": f"restless:{name}"})
    (found,) = sources_of(replace(artifact, card={"sources": [asdict(entry)]}), folder)
    return found


def test_a_source_that_repeats_itself_has_no_warning(artifact: Artifact, tmp_path: Path) -> None:
    found = checked(artifact, tmp_path, "steady")
    assert (found.name, found.difference, found.failed, found.calls, found.warnings) == ("own", 0, 0, 0, ())
    assert found.seconds > 0


def test_one_that_does_not_is_seen_to_differ_in_spreads_of_its_column(artifact: Artifact, tmp_path: Path) -> None:
    found = checked(artifact, tmp_path, "restless")
    assert found.difference > 0.01
    assert "own does not repeat itself" in found.warnings[0]


def test_pairs_that_a_source_does_not_know_are_counted(artifact: Artifact, tmp_path: Path) -> None:
    found = checked(artifact, tmp_path, "ignorant")
    assert found.failed == 32
    assert found.warnings == ("own could not read 32 of the sample's pairs",)


def test_the_shipped_basis_is_checked_and_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEL_DATA_DIR", str(tmp_path))
    ran = CliRunner().invoke(cli.app, ["basis", "check", "--json"])
    assert ran.exit_code == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert {head["name"]: head["length"] > 0.9 for head in said["heads"]}["brevity"]
    assert len(said["warnings"]) == 1
    shown = CliRunner().invoke(cli.app, ["basis", "check"])
    assert "warning: brevity is mostly length" in shown.stdout
    assert check(None, tmp_path).sources == ()
