"""The study of subsets: fewer people teach, nothing else changes, and differences are Keel's from the aggregate."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from worlds import world

from bench.compare.page import PROSE, render
from bench.compare.peers.aggregate import everybody, head
from bench.compare.peers.answers import Answers
from bench.compare.world import World
from bench.studies import subsets
from bench.studies.subsets import COLUMNS, STAGES, measure, some_teachers


@given(st.integers(0, 1000), st.integers(1, 3), st.integers(3, 6))
def test_the_people_kept_teach_all_they_taught(seed: int, least: int, most: int) -> None:
    whole = world(people=6)
    part = some_teachers(whole, least, most, torch.Generator().manual_seed(seed))
    assert least <= part.train.size <= most
    assert part.people is whole.people
    assert torch.equal(part.features, whole.features)
    taught = [lessons(whole, person) for person in range(whole.train.size)]
    kept = [lessons(part, person) for person in range(part.train.size)]
    places = [taught.index(each) for each in kept]
    assert places == sorted(places)


def lessons(of: World, person: int) -> list[list[int]]:
    own, train = of.train.people == person, of.train
    columns = (train.pairs.left, train.pairs.right, train.outcomes.column)
    return torch.stack([column[own] for column in columns]).tolist()


def test_everybody_stays_where_there_are_no_more() -> None:
    whole = world(people=6)
    part = some_teachers(whole, 20, 30, torch.Generator())
    assert torch.equal(part.train.people, whole.train.people)


def one_head(of: World) -> object:
    return everybody(head(Answers.of_training(of), 10.0))


def test_the_table_has_a_row_for_each_set_and_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("aggregate", "fitted"):
        monkeypatch.setattr(subsets, name, one_head)
    result = measure([world(seed=seed) for seed in range(2)], "small")
    assert [row[0] for row in result["rows"]] == ["small, seed 0", "small, seed 1", "all"]
    assert all(len(row) == len(COLUMNS) for row in result["rows"])
    assert {row[3] for row in result["rows"]} == {"+0.000 [+0.000, +0.000]"}
    assert {*result["rows"][0][-len(STAGES) :]} == {"+0.000"}


@pytest.mark.slow
def test_keel_gains_by_answers_on_people_who_differ() -> None:
    result = measure([world(seed=seed, people=6) for seed in range(2)], "small")
    every = result["sets"][-1]
    assert every["nll"]["20"]["value"] < every["nll"]["10"]["value"] < every["nll"]["0"]["value"] < 0.001


def test_the_command_says_how_many_people_and_which_seeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subsets, "SUITES", {"polis": lambda seed, quick, data: (world(seed=seed),)})
    for name in ("aggregate", "fitted"):
        monkeypatch.setattr(subsets, name, one_head)
    out = tmp_path / "subsets.json"
    arguments = ["polis", "--data", str(tmp_path), "--least", "2", "--most", "3", "--first-seed", "7", "--seeds", "2"]
    assert subsets.main([*arguments, "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["command"].endswith("polis --data DATA --least 2 --most 3 --seeds 2 --first-seed 7")
    assert [entry["set"] for entry in found["sets"]] == ["small, seed 7", "small, seed 8", "all"]
    assert all(2 <= entry["people"] <= 3 for entry in found["sets"])
    assert "## subsets\n" in render([], None, PROSE, "plots", [found])
