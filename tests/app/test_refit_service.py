"""Learning the population from a service's answers: only what predicts people better is written, and never unasked."""

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from shipped_people import CARD, MODEL, SHIPPED, answer, asked, bytes_of, columns, question, tastes
from typer.testing import CliRunner, Result

from app.cli import app
from app.jobs.collected import collected
from app.jobs.refitting import refit_service
from app.profiles.lineage import fingerprint
from app.settings import Settings
from app.storage.opening import open_store
from app.storage.store import PersonKey
from elicitation.choice import OUTCOMES
from elicitation.errors import InvalidInput
from elicitation.posterior import crowd_of
from keel import Client
from reward_bases.artifact import DEFAULT, Artifact, load_artifact, save_with_population
from reward_bases.train.validate.heldout import HeldOut

pytestmark = pytest.mark.slow

Serve = Callable[[Settings], AbstractContextManager[Client]]


async def fill(data_dir: Path, answers: Sequence[int], shift: float, seed: int) -> None:
    """A service's database: person i answered ``answers[i]`` questions; tastes are the shipped ones, shifted."""
    settings = Settings(data_dir=data_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store, generator = open_store(settings), torch.Generator().manual_seed(seed)
    free = (~SHIPPED.population.protected).double()
    people = tastes(len(answers), SHIPPED.population, generator) + shift * free
    rows = asked(len(answers), max(answers), generator)
    column = columns(people, rows, generator)
    await store.open()
    for i, count in enumerate(answers):
        key = PersonKey("local", f"user-{i:02}")
        await store.visit(key)
        for n in range(count):
            await store.add_question(key, question(int(rows[i, n]), n))
            await store.append(key, answer(OUTCOMES[int(column[i, n])], n))
    await store.close()


def from_service(basis: Path | str, data_dir: Path, out: Path, *flags: str) -> Result:
    command = ["population", "refit", "--basis", str(basis), "--data-dir", str(data_dir), "--out", str(out), "--yes"]
    return CliRunner().invoke(app, [*command, "--json", *flags])


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped artifact, but for people who are all equally consistent: learned in a seventh of the time."""
    folder = tmp_path_factory.mktemp("basis") / "steady"
    save_with_population(DEFAULT, folder, SHIPPED.population, CARD)
    return folder


@pytest.fixture(scope="module")
def collected_answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 people of a taste that the shipped population does not expect, 4 of whom answered too little."""
    folder = tmp_path_factory.mktemp("service")
    asyncio.run(fill(folder, [12] * 32 + [4] * 4, shift=0.8, seed=4))
    return folder


@pytest.fixture(scope="module")
def refitted(
    steady: Path, collected_answers: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, object]]:
    out = tmp_path_factory.mktemp("refit") / "new"
    database, basis = (collected_answers / "keel.db").read_bytes(), bytes_of(steady)
    result = from_service(steady, collected_answers, out)
    assert result.exit_code == 0, result.output
    assert (collected_answers / "keel.db").read_bytes() == database, "the answers are only read"
    assert bytes_of(steady) == basis, "the old artifact stays"
    return out, json.loads(result.stdout)


def test_a_population_of_unexpected_tastes_is_learned_and_predicts_them_better(
    refitted: tuple[Path, dict[str, object]],
) -> None:
    out, said = refitted
    assert (said["people"], said["answers"], said["left_out"], said["written"]) == (32, 32 * 12, 4, str(out))
    held = HeldOut(**said["held_out"])  # type: ignore[arg-type]
    assert held.people == 32
    assert held.answers == 32 * 6
    assert 0 < held.low < held.difference < held.high
    assert held.difference == pytest.approx(held.new - held.old)
    artifact = load_artifact(out)
    assert artifact.population_version == said["new_version"] != said["old_version"]
    moved = (artifact.population.mean - SHIPPED.population.mean)[~SHIPPED.population.protected]
    assert 0.2 < float(moved.mean()) < 1.0


def test_protected_heads_and_everything_but_the_population_stay(refitted: tuple[Path, dict[str, object]]) -> None:
    artifact, protected = load_artifact(refitted[0]), SHIPPED.population.protected
    assert torch.equal(artifact.population.protected, protected)
    assert torch.equal(artifact.population.mean[protected], SHIPPED.population.mean[protected])
    assert artifact.basis.version == SHIPPED.basis.version
    assert artifact.choice_model == MODEL
    assert (refitted[0] / "guard.json").read_bytes() == (DEFAULT / "guard.json").read_bytes()


def test_the_card_says_what_was_learned_and_knows_people_by_their_incarnation_alone(
    refitted: tuple[Path, dict[str, object]], collected_answers: Path, steady: Path
) -> None:
    card = load_artifact(refitted[0]).card
    assert card["population"]["people"] == 32
    assert card["population"]["earlier_version"] == load_artifact(steady).population_version
    assert "user-00" not in json.dumps(card)
    (source,) = card["learned_from"]
    found = asyncio.run(collected(collected_answers, "local", SHIPPED, 50))
    met = {person.key.user_id: fingerprint(source["salt"], person.person_uid) for person, _ in found}
    known = {user_id: digest in source["people"] for user_id, digest in met.items()}
    assert known == {f"user-{i:02}": i < 32 for i in range(36)}


def test_a_cap_keeps_the_last_answers_of_each(collected_answers: Path) -> None:
    every, capped = (asyncio.run(collected(collected_answers, "local", SHIPPED, n)) for n in (50, 5))
    for (_, whole), (_, last) in zip(every, capped, strict=True):
        assert torch.equal(last.differences, whole.differences[-5:])
        assert last.choices == whole.choices[-5:]
    assert crowd_of([own for _, own in capped]).size == 36


@pytest.mark.parametrize(("answers", "enough"), [([5] * 29 + [4] * 9, 29), ([6] * 3, 3)])
def test_too_few_people_or_answers_are_refused_with_the_numbers(
    tmp_path: Path, answers: list[int], enough: int
) -> None:
    asyncio.run(fill(tmp_path, answers, shift=0.0, seed=1))
    with pytest.raises(InvalidInput, match=rf"^{enough} of {len(answers)} people gave at least 5 answers .* 30"):
        refit_service(None, tmp_path, tmp_path / "new", "local", 50, 0, force=True)
    assert not (tmp_path / "new").exists()


def test_a_folder_without_a_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no keel\.db"):
        refit_service(None, tmp_path, tmp_path / "new", "local", 50, 0, force=False)
    (tmp_path / "keel.db").write_bytes(b"")
    with pytest.raises(InvalidInput, match="no database of this version"):
        refit_service(None, tmp_path, tmp_path / "new", "local", 50, 0, force=False)


@pytest.fixture(scope="module")
def as_expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 people of the shipped population with 5 answers each: nothing to learn but noise."""
    folder = tmp_path_factory.mktemp("expected")
    asyncio.run(fill(folder, [5] * 30, shift=0.0, seed=2))
    return folder


def test_what_predicts_held_out_people_worse_is_not_written_unless_forced(
    steady: Path, as_expected: Path, tmp_path: Path
) -> None:
    refused = from_service(steady, as_expected, tmp_path / "new")
    assert refused.exit_code == 1
    said = json.loads(refused.stdout)
    assert said["held_out"]["difference"] < 0
    assert (said["written"], said["new_version"]) == (None, None)
    assert "--force" in refused.stderr
    assert not (tmp_path / "new").exists()
    forced = from_service(steady, as_expected, tmp_path / "new", "--force")
    assert forced.exit_code == 0
    assert load_artifact(tmp_path / "new").population_version == json.loads(forced.stdout)["new_version"]


def test_a_refit_of_a_service_asks_first_and_names_its_flags(collected_answers: Path, tmp_path: Path) -> None:
    command = ["population", "refit", "--basis", "shipped", "--data-dir", str(collected_answers)]
    declined = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "new")], input="n\n")
    assert declined.exit_code == 1
    assert not (tmp_path / "new").exists()
    assert CliRunner().invoke(app, [*command, "--yes"]).exit_code == 2
    nobody = CliRunner().invoke(app, ["population", "refit", "--basis", "shipped"])
    assert nobody.exit_code == 1
    assert "holds no people" in str(nobody.exception)


def test_a_running_service_is_untouched_and_profiles_move_when_it_starts_with_the_new_folder(
    serve: Serve, collected_answers: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "new"
    shutil.copytree(collected_answers, data)
    with serve(Settings(data_dir=data)) as client:
        before = client.profile("user-00")
        assert from_service("shipped", data, out).exit_code == 0
        assert client.profile("user-00") == before
        assert client.info()["population_version"] == SHIPPED.population_version
    with serve(Settings(data_dir=data, basis=out)) as client:
        after = client.profile("user-00")
        assert client.info()["population_version"] == load_artifact(out).population_version
        assert after.answered == before.answered
        assert after.version.split("-")[0] == before.version.split("-")[0]
        assert after.version != before.version
        assert client.profile("user-00", version=before.version) == before
        newcomer = client.ask("newcomer")
        assert newcomer is not None
        means = {head.name: head.mean for head in client.profile("newcomer").heads}
        artifact: Artifact = load_artifact(out)
        assert list(means.values()) == pytest.approx(artifact.population.mean.tolist())
