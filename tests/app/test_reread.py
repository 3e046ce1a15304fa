"""A basis by the newest reading rule, and people who move to it while runs keep the rewards that they began with."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from test_migrate import migrate, told
from typer.testing import CliRunner, Result

from app.cli import app
from app.settings import Settings
from keel import Client
from reward_bases.artifact import DEFAULT, FILES, load_artifact

PROMPT = "How do I keep basil alive indoors?"
ANSWER = "Give it light, water it when the soil is dry, and pinch the tips."
TEXTS = ([PROMPT] * 3, [ANSWER, f"<think>\nLight matters most, I believe.\n</think>\n\n{ANSWER}", "<think>\nLight?"])


def reread(out: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, ["reread", "--basis", "shipped", "--out", str(out), *flags])


def reading(client: Client) -> str:
    return str(client.info()["reading"])


@pytest.mark.slow
def test_people_move_to_the_newest_rule_and_pinned_versions_keep_their_rewards(
    serve: Callable[[Settings], AbstractContextManager[Client]], tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "shown"
    with serve(Settings(data_dir=data)) as client:
        assert reading(client) == "1"
        version = told(client, "ada", "left", "right", "left")
        written = client.score(*TEXTS, user_id="ada", profile_version=version)
        assert len({*written.rewards}) == 3
    assert reread(out).exit_code == 0
    assert migrate(data, out, "--yes").exit_code == 0
    with serve(Settings(data_dir=data, basis=out)) as client:
        assert reading(client) == "2"
        assert client.score(*TEXTS, user_id="ada", profile_version=version) == written
        assert client.profile("ada", version=version).version == version
        moved = client.profile("ada")
        shown = client.score(*TEXTS, user_id="ada", profile_version=moved.version, detail=True)
        assert shown.basis_version != written.basis_version
        assert shown.rewards[0] == shown.rewards[1] == pytest.approx(written.rewards[0], abs=1e-9)
        assert shown.details is not None
        assert shown.details[2].gate.reasons == ("empty",)
        assert told(client, "ada", "left").split("-")[1] == moved.version.split("-")[1]


def test_a_basis_that_was_read_anew_differs_in_its_card_alone(tmp_path: Path) -> None:
    done = json.loads(reread(tmp_path / "shown", "--json").stdout)
    basis = load_artifact(tmp_path / "shown").basis
    assert done == {"folder": str(tmp_path / "shown"), "reading": "2", "basis_version": basis.version}
    for name in {*FILES} - {"card.json"}:
        assert (tmp_path / "shown" / name).read_bytes() == (DEFAULT / name).read_bytes(), name
    again = reread(tmp_path / "shown")
    assert (again.exit_code, "exists" in str(again.exception)) == (1, True)
