"""``keel calibrate``: forecasts are what the service would say, the verdict is an exit code."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from app import cli
from app.jobs import calibrating
from app.jobs.calibrating import ANSWERS, calibrate
from elicitation.choice import Choice
from elicitation.errors import InvalidInput
from reward_bases.artifact import load_artifact
from reward_bases.train.data.reading import read
from safeguards.domain import Domain
from safeguards.person import PersonModel

ARTIFACT = load_artifact()
PROMPTS = ARTIFACT.bank.part("questions")[:12]


def judged(path: Path, honest: bool, people: int = 40, each: int = 24) -> Path:
    """People drawn from the population judge pairs of the bank by the choice model, or turn round after ANSWERS."""
    draw, generator = np.random.default_rng(3), torch.Generator().manual_seed(3)
    spread = ARTIFACT.population.covariance.diagonal().sqrt()
    rows = [["user", "prompt", "response_a", "response_b", "choice"]]
    for person in range(people):
        own = ARTIFACT.population.mean + spread * torch.randn(len(spread), generator=generator, dtype=torch.float64)
        for number in range(each):
            prompt = PROMPTS[draw.integers(len(PROMPTS))]
            a, b = (prompt.answers[i] for i in draw.choice(len(prompt.answers), 2, replace=False))
            z = (ARTIFACT.bank_phi[a.id] - ARTIFACT.bank_phi[b.id]) @ own
            p = ARTIFACT.choice_model.probabilities(z if honest or number < ANSWERS else -z).numpy()
            choice = ("a", "tie", "b")[draw.choice(3, p=p / p.sum())]
            rows.append([f"p{person}", prompt.conversation.last_user, a.text, b.text, choice])
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors")


def test_forecasts_are_made_from_other_judgments_with_the_guard_in_force() -> None:
    differences = torch.randn(9, ARTIFACT.basis.k, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = PersonModel.of(ARTIFACT)
    choices = [Choice.LEFT, Choice.RIGHT, Choice.SAME] * 3
    (observed,) = calibrating._chances(model, [differences], [choices], [4])
    (other,) = calibrating._chances(model, [differences], [[*choices[:4], *reversed(choices[4:])]], [4])
    (swapped,) = calibrating._chances(model, [torch.cat([differences[:4], -differences[4:]])], [choices], [4])
    assert torch.equal(observed, other), "what is predicted is not read"
    torch.testing.assert_close(observed + swapped, torch.ones(5, dtype=torch.float64))


@pytest.mark.slow
def test_people_of_the_population_are_not_failed_and_people_who_turn_round_are(tmp_path: Path, cache: Path) -> None:
    right, wrong = (
        calibrate(judged(tmp_path / f"{honest}.csv", honest), None, cache, 0.15, 100, 0) for honest in (True, False)
    )
    assert right.release.verdict.value != "fail"
    assert right.recalibrated["served"]["brier_skill"] > 0
    assert wrong.release.verdict.value == "fail"
    assert wrong.recalibrated["platt"]["ece"] < wrong.recalibrated["served"]["ece"]
    first = right.release.slices[0]
    assert first.people == 40
    assert first.forecasts + right.release.beyond <= 40 * (24 - ANSWERS)
    assert calibrate(tmp_path / "True.csv", None, cache, 0.15, 100, 0) == right


@pytest.mark.slow
def test_only_a_pass_exits_with_0_and_json_stands_alone(tmp_path: Path, cache: Path) -> None:
    data = judged(tmp_path / "few.csv", honest=True, people=8)
    command = ["calibrate", "--data", str(data), "--cache", str(cache), "--margin", "0.9"]
    ran = CliRunner().invoke(cli.app, [*command, "--json"])
    assert ran.exit_code == 1, ran.stderr
    assert json.loads(ran.stdout)["release"]["verdict"] == "inconclusive"
    shown = CliRunner().invoke(cli.app, command)
    assert "INCONCLUSIVE at margin 0.9" in shown.stdout


def test_the_distance_of_the_farthest_reference_response_is_the_edge_of_the_domain() -> None:
    domain = Domain.of(ARTIFACT.reference)
    distances = domain.distances(ARTIFACT.reference.flatten(0, 1))
    assert float(distances.max()) ** 2 == pytest.approx(domain.farthest)
    edge = ARTIFACT.reference.flatten(0, 1)[distances.argmax()][None]
    assert domain.holds(0.999 * edge) == [True]
    assert domain.holds(1.001 * edge) == [False]


def test_votes_and_given_features_are_refused(tmp_path: Path, cache: Path) -> None:
    votes = tmp_path / "votes.csv"
    votes.write_text("user,statement,vote\nu,Basil needs light.,1\nu,Basil needs shade.,-1\n", encoding="utf-8")
    assert read(votes).kind == "votes"
    with pytest.raises(InvalidInput, match="choices between two texts"):
        calibrate(votes, None, cache, 0.05, 10, 0)


def test_people_of_one_judgment_each_are_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InvalidInput, match="nobody made 2 judgments"):
        calibrate(judged(tmp_path / "one.csv", honest=True, people=3, each=1), None, cache, 0.05, 10, 0)
