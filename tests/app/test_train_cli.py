"""``keel train`` as a user types it: what is printed, what Ctrl-C leaves, and that the result serves."""

import csv
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from short_search import shorten_search
from typer.testing import CliRunner

from app import cli
from app.http.api import create_app, default_engine
from app.jobs import listening, training
from app.settings import Settings
from app.storage.opening import open_store
from elicitation.errors import InvalidInput
from reward_bases.artifact import DEFAULT, load_artifact
from reward_bases.bank import load_bank
from reward_bases.sources.encoder_files import MINILM_SHA256
from reward_bases.train.validate.choose import LABEL_NOISES

pytestmark = pytest.mark.slow


def indexed(folder: Path) -> Path:
    """60 people judge given features, half against the other half; one row is unusable."""
    folder.mkdir()
    draw = np.random.default_rng(4)
    items = draw.standard_normal((100, 3)).astype(np.float32)
    np.save(folder / "items.npy", items)
    rows = [["user", "left", "right", "choice", "prompt"], ["private person", 0, 1, "huh", 0]]
    for person in range(60):
        for _ in range(10):
            left, right = draw.choice(100, 2, replace=False)
            z = (items[left, 0] - items[right, 0]) * (2 if person % 2 else -2) + draw.logistic()
            rows.append([f"private person {person}", left, right, "a" if z > 0 else "b", left % 20])
    with (folder / "judged.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return folder


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    shorten_search(monkeypatch)
    data = indexed(tmp_path / "data")
    return [
        *("train", "--data", str(data), "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")),
        *("--heads", "1", "--ridge", "10", "--ensemble", "0"),
    ]


def test_one_json_object_is_printed_and_everything_else_goes_to_standard_error(command: list[str]) -> None:
    done = CliRunner().invoke(cli.app, [*command, "--json"])
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert result["data"]["people"] == 60
    assert result["next"] == []
    assert "1 refused: unknown choice (judged.csv:2)" in done.stderr
    assert "private" not in done.stderr + done.stdout


def test_figures_and_verdict_are_printed_and_a_second_time_nothing_is_done(command: list[str]) -> None:
    first = CliRunner().invoke(cli.app, command)
    assert first.exit_code == 0
    assert "aggregate" in first.stdout
    assert "Personal scores" in first.stdout
    again = CliRunner().invoke(cli.app, command)
    assert again.exit_code == 0
    assert "finished before" in again.stdout
    assert "held out by people and prompts in 5 folds" in " ".join(again.stdout.split())


def test_a_card_of_0_1_0_is_read_which_does_not_speak_of_folds(command: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(cli.app, command).exit_code == 0
    path = tmp_path / "out" / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    for name in ("folds", "unjudged"):
        del card["training"]["metrics"][name]
    del card["training"]["fold_settings"]
    path.write_text(json.dumps(card), encoding="utf-8")
    again = CliRunner().invoke(cli.app, command)
    assert again.exit_code == 0
    assert "finished before" in again.stdout
    assert "held out by people and prompts;" in " ".join(again.stdout.split())


def test_an_interrupted_run_says_where_it_stopped_and_how_to_go_on(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(listener: listening.TerminalListener, done: int, total: int) -> None:
        if listener.name == "learning":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(listening.TerminalListener, "progress", interrupt)
        stopped = CliRunner().invoke(cli.app, command)
    assert stopped.exit_code == training.INTERRUPTED
    assert "stopped while learning" in stopped.stderr
    assert "--resume" in stopped.stderr
    assert CliRunner().invoke(cli.app, [*command, "--resume"]).exit_code == 0


@pytest.mark.parametrize("option", ["--heads", "--label-noise"])
def test_what_is_no_number_is_wrong_usage(command: list[str], option: str) -> None:
    refused = CliRunner().invoke(cli.app, [*command, option, "many"])
    assert refused.exit_code == 2
    assert "neither chosen nor a number" in refused.stderr


def test_the_share_of_random_judgments_can_be_chosen(command: list[str]) -> None:
    done = CliRunner().invoke(cli.app, [*command, "--label-noise", "chosen", "--json"])
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["arguments"]["label_noise"] is None
    assert result["settings"]["label_noise"] in LABEL_NOISES
    assert sum("decided" in name for name in result["scores"]) >= 2


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (("--label-noise", "0.95"), "label noise"),
        (("--prior", "default"), "have none; leave it out"),
        (("--prior", "mine"), "'default'"),
        (("--prior", "default", "--no-named"), "--no-named"),
    ],
)
def test_noise_and_prior_are_refused_with_a_remedy(command: list[str], added: tuple[str, ...], said: str) -> None:
    refused = CliRunner().invoke(cli.app, [*command, *added])
    assert isinstance(refused.exception, InvalidInput)
    assert said in str(refused.exception)


def judged(path: Path) -> Path:
    """24 people, half of whom like short answers and half long ones, judge pairs of the bank's."""
    draw = np.random.default_rng(6)
    prompts = load_bank(DEFAULT / "bank.json").prompts[:30]
    rows = [["user", "prompt", "response_a", "response_b", "choice"]]
    for person in range(24):
        for _ in range(20):
            prompt = prompts[draw.integers(len(prompts))]
            a, b = (prompt.answers[i] for i in draw.choice(8, 2, replace=False))
            z = (a.traits["brevity"] - b.traits["brevity"]) * (4 if person % 2 else -4) + draw.logistic()
            rows.append([f"u{person}", prompt.conversation.last_user, a.text, b.text, "a" if z > 0 else "b"])
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command wrote, with the real encoder."""
    shorten_search(monkeypatch)
    out = tmp_path / "out"
    arguments = ["--data", str(judged(tmp_path / "pairs.csv")), "--out", str(out), "--cache", str(tmp_path / "cache")]
    ran = CliRunner().invoke(cli.app, ["train", *arguments, "--heads", "1", "--ridge", "100", "--json"])
    assert ran.exit_code == 0, ran.stderr
    assert json.loads(ran.stdout)["next"] == [f"keel guard tune --basis {out} --write", f"keel serve --basis {out}"]
    return out


async def test_a_basis_of_the_real_encoder_serves(trained: Path, tmp_path: Path) -> None:
    artifact = load_artifact(trained)
    assert artifact.basis.encoder_sha256 == MINILM_SHA256
    settings = Settings(data_dir=tmp_path / "service")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = default_engine(settings, artifact)
    app = create_app(settings, open_store(settings), engine)
    async with app.router.lifespan_context(app):
        await engine.start()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            body = {"prompts": ["How do I boil an egg?"] * 2, "completions": ["Boil it.", "First, fill a pot. " * 9]}
            scored = (await client.post("/v1/score", json=body)).json()
            ranking = {"prompt": "How do I boil an egg?", "candidates": body["completions"], "rule": "brme"}
            ranked = await client.post("/v1/rank", json=ranking)
    assert scored["rewards"][0] != scored["rewards"][1]
    assert scored["basis_version"] == artifact.basis.version
    assert len(artifact.basis.ensemble) == 3
    assert ranked.status_code == 200
