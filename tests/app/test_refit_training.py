"""The population of a training run learned again without somebody, as if they had never taken part."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from shipped_people import CARD, LEARNING, MODEL, SHIPPED, bytes_of, crowd_in
from typer.testing import CliRunner

from app.cli import app
from app.jobs.folders import write_folder
from app.jobs.refitting import refit_training
from elicitation.crowd import Crowd
from elicitation.errors import ArtifactMismatch, InvalidInput
from elicitation.population import Component, Population
from reward_bases.artifact import DEFAULT, load_artifact, save_with_population
from reward_bases.train.model.learn import LearnSettings, population_from
from reward_bases.train.model.training_people import IDS, TENSORS, People, load_people, marginal, save_people
from reward_bases.train.validate.heldout import of_people

pytestmark = pytest.mark.slow

GIVEN = torch.arange(SHIPPED.basis.k) < 4
HELD = replace(LEARNING, mean_held=True, fixed_scale=0.5)


def trained(folder: Path, crowd: Crowd, user_ids: Sequence[str], settings: LearnSettings = LEARNING) -> Path:
    """What a training run leaves, from these people."""
    start = SHIPPED.population
    population = population_from(crowd, MODEL, start, settings, GIVEN)
    save_with_population(DEFAULT, folder, marginal(population, torch.arange(SHIPPED.basis.k)), CARD)
    save_people(folder, People(crowd, tuple(user_ids), start, settings, GIVEN))
    return folder


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return crowd_in(40, 8, seed=1)


@pytest.fixture(scope="module")
def ids() -> list[str]:
    return [f"person-{i:02}" for i in range(40)]


@pytest.fixture
def run(tmp_path: Path, crowd: Crowd, ids: list[str]) -> Path:
    return trained(tmp_path / "run", crowd, ids)


@pytest.mark.parametrize(
    "settings", [LEARNING, replace(LEARNING, components=2), HELD], ids=["one Gaussian", "a mixture", "a held mean"]
)
@pytest.mark.parametrize("gone", [0, 39])
def test_a_refit_without_somebody_equals_a_training_in_which_they_never_were(
    tmp_path: Path, crowd: Crowd, ids: list[str], gone: int, settings: LearnSettings
) -> None:
    folder = trained(tmp_path / "all", crowd, ids, settings)
    others = of_people(crowd, torch.arange(40) != gone)
    never = trained(tmp_path / "never", others, [name for name in ids if name != ids[gone]], settings)
    result = refit_training(folder, [ids[gone]], None)
    assert result.left_out == 1
    for name in ("basis.safetensors", "people.safetensors", "people.json"):
        assert (folder / name).read_bytes() == (never / name).read_bytes(), name
    assert load_artifact(folder).population_version == load_artifact(never).population_version == result.new_version


def test_nothing_in_the_refitted_folder_names_or_holds_who_was_erased(run: Path, ids: list[str], crowd: Crowd) -> None:
    refit_training(run, [ids[3], ids[4]], None)
    assert not any(name.encode() in content for content in bytes_of(run).values() for name in ids[3:5])
    assert load_people(run).user_ids == tuple(ids[:3] + ids[5:])
    assert len(load_people(run).crowd.people) == len(crowd.people) - 16
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def test_erasing_one_after_the_other_equals_erasing_both(tmp_path: Path, run: Path, ids: list[str]) -> None:
    both = refit_training(run, [ids[3], ids[9]], tmp_path / "both")
    for name in (ids[9], ids[3]):
        refit_training(run, [name], None)
    assert load_artifact(run).population_version == both.new_version


def test_the_order_of_people_does_not_matter(crowd: Crowd) -> None:
    order = torch.randperm(40, generator=torch.Generator().manual_seed(9))
    place = torch.argsort(order)[crowd.people]
    rows = torch.argsort(place, stable=True)
    shuffled = replace(crowd.where(rows), people=place[rows])
    first, second = (population_from(c, MODEL, SHIPPED.population, LEARNING, GIVEN) for c in (crowd, shuffled))
    torch.testing.assert_close(first.mean, second.mean, rtol=0, atol=1e-9)
    torch.testing.assert_close(first.covariance, second.covariance, rtol=0, atol=1e-9)


def test_out_leaves_the_old_folder_as_it_was(run: Path, tmp_path: Path, ids: list[str]) -> None:
    before = bytes_of(run)
    result = refit_training(run, ids[:1], tmp_path / "a" / "new")
    assert bytes_of(run) == before
    assert load_artifact(tmp_path / "a" / "new").population_version == result.new_version != result.old_version
    with pytest.raises(InvalidInput, match="exists"):
        refit_training(run, ids[:1], tmp_path / "a" / "new")


def test_a_refit_without_leaving_anybody_out_changes_nothing(run: Path) -> None:
    result = refit_training(run, [], None)
    assert result.new_version == result.old_version
    assert (result.held_out.difference, result.held_out.low, result.held_out.high) == (0, 0, 0)


def test_strangers_are_refused_and_nothing_is_written(run: Path, ids: list[str]) -> None:
    before = bytes_of(run)
    with pytest.raises(InvalidInput, match=r"1 of 2 people .* of the training run: somebody"):
        refit_training(run, [ids[0], "somebody"], None)
    assert bytes_of(run) == before


def test_people_of_another_basis_are_refused(run: Path, crowd: Crowd, ids: list[str]) -> None:
    (whole,) = SHIPPED.population.components
    start = Population((Component(1.0, whole.mean[:5], whole.covariance[:5, :5]),))
    narrow = replace(crowd, differences=crowd.differences[:, :5])
    save_people(run, People(narrow, tuple(ids), start, LEARNING, GIVEN[:5]))
    with pytest.raises(ArtifactMismatch, match="5 heads, its basis has 12"):
        refit_training(run, ids[:1], None)


def test_votes_bring_one_head_more_and_it_stays_with_the_people(tmp_path: Path, crowd: Crowd, ids: list[str]) -> None:
    ones = torch.ones(len(crowd.people), 1, dtype=torch.float64)
    votes = replace(crowd, differences=torch.cat([crowd.differences, ones], 1))
    (whole,) = SHIPPED.population.components
    mean = torch.cat([whole.mean, torch.zeros(1, dtype=torch.float64)])
    wider = torch.block_diag(whole.covariance, torch.ones(1, 1, dtype=torch.float64))
    start = Population((Component(1.0, mean, wider),))
    given = torch.cat([GIVEN, torch.ones(1, dtype=torch.bool)])
    population = population_from(votes, MODEL, start, LEARNING, given)
    folder = tmp_path / "votes"
    save_with_population(DEFAULT, folder, marginal(population, torch.arange(SHIPPED.basis.k)), CARD)
    save_people(folder, People(votes, tuple(ids), start, LEARNING, given))
    refit_training(folder, ids[:1], None)
    assert load_artifact(folder).population.k == SHIPPED.basis.k
    assert load_people(folder).crowd.k == SHIPPED.basis.k + 1


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("old")

    def broken(folder: Path) -> None:
        (folder / "file").write_text("new")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_folder(tmp_path / "kept", broken)
    assert bytes_of(tmp_path) == {"kept/file": b"old"}


def test_people_read_a_table(run: Path, ids: list[str]) -> None:
    command = ["population", "refit", "--basis", str(run), "--without", ids[0], "--without", ids[1]]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    for words in (
        "mean before",
        "brevity",
        "people: 38 with 304 answers; left out: 2",
        "nats per answer",
        "keel guard",
    ):
        assert words in result.stdout


def test_a_folder_of_0_1_0_is_refitted_with_one_scale_for_all_heads(run: Path, crowd: Crowd, ids: list[str]) -> None:
    """It says nothing of given heads, of their scale or of a held mean."""
    tensors = load((run / TENSORS).read_bytes())
    del tensors["given"]
    (run / TENSORS).write_bytes(save(tensors))
    described = json.loads((run / IDS).read_text(encoding="utf-8"))
    described["settings"] |= {"strength": 0.5}
    for name in ("fixed_scale", "mean_held"):
        del described["settings"][name]
    (run / IDS).write_text(json.dumps(described), encoding="utf-8")
    refit_training(run, ids[:1], None)
    others = of_people(crowd, torch.arange(40) != 0)
    settings = replace(LEARNING, covariance_scale=0.5, fixed_scale=0.5)
    expected = population_from(others, MODEL, SHIPPED.population, settings, GIVEN)
    torch.testing.assert_close(load_artifact(run).population.covariance, expected.covariance)
