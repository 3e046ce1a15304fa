"""The study of few people: its variants are what their names say, and its table is on the page of benchmarks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from worlds import world

from bench.compare.keel import Keel
from bench.compare.method import Method, Recipe
from bench.compare.page import PROSE, render
from bench.compare.peers.aggregate import everybody, head, length
from bench.compare.peers.answers import Answers
from bench.compare.world import World
from bench.studies import few
from bench.studies.few import BASE, COLUMNS, measure
from reward_bases.train.model.learn import LearnSettings
from reward_bases.train.validate.choose import LEAST


def one_head(world: World) -> Method:
    return everybody(head(Answers.of_training(world), 10.0))


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("keel", {}),
        ("learned mean", {"mean_held": False}),
        ("no tastes", {"learned": 0}),
        ("no given", {"fixed_scale": LEAST}),
        ("nothing", {"learned": 0, "fixed_scale": LEAST}),
        ("no test", {"fixed_scale": 1.0, "covariance_scale": 1.0}),
    ],
)
def test_what_a_variant_holds_is_not_chosen_and_all_else_is(
    name: str, held: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[LearnSettings, frozenset[str]]] = []

    def chosen(judged: object, fixed: object, start: LearnSettings, new: bool, given: frozenset[str]) -> LearnSettings:
        asked.append((start, given))
        return replace(start, learned=0)

    monkeypatch.setattr(few, "choose_settings", chosen)
    few.STEPS[name][1](world(seed=3))
    assert asked == [(replace(LearnSettings(seed=3), **held), frozenset(held))]


@pytest.mark.parametrize("name", ["learned mean", "no given", "nothing", "no test"])
def test_every_variant_is_chosen_and_learned_on_real_judgments(name: str) -> None:
    found = few.STEPS[name][1](world(seed=3))
    assert isinstance(found, Keel)
    heads = len(found.learned.heads)
    assert found.learned.population.k == heads
    assert heads == 1 or name != "nothing"


def test_the_command_names_its_suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(few, "SUITES", {"llmfao": lambda seed, quick, data: (world(seed=seed),)})
    monkeypatch.setattr(few, "STEPS", {BASE: ("one head", one_head)})
    out = tmp_path / "few.json"
    assert few.main(["llmfao", "--data", str(tmp_path), "--seeds", "2", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["command"] == "python -m bench.studies.few llmfao --data DATA --seeds 2"
    assert found["title"].startswith("small: 6 people tested in 2 splits of 2 seeds")
    assert few.main(["llmfao", "--data", str(tmp_path), "--seeds", "1", "--first-seed", "5", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["command"].endswith("--data DATA --seeds 1 --first-seed 5")


def test_the_table_has_a_row_per_variant_and_no_difference_of_the_aggregate_from_itself() -> None:
    steps: dict[str, tuple[str, Recipe]] = {BASE: ("one head", one_head), "length": ("length alone", length)}
    result = measure([world(seed=seed) for seed in range(2)], steps)
    first, second = result["rows"]
    assert first[2:] == ["+0.000 [+0.000, +0.000]"] * 4
    assert float(second[2].split()[0].replace("−", "-")) < -0.1
    assert len(first) == len(COLUMNS)
    assert result["title"].startswith(
        "small: 6 people tested in 2 splits of 2 seeds; in the mean, 6 people and 1 prompts"
    )


def test_the_page_has_the_study() -> None:
    result = {
        "study": "few",
        "title": "A title.",
        "command": "python -m x",
        "columns": ["a", "b"],
        "rows": [["c", "d"]],
    }
    page = render([], None, PROSE, "plots", [result, {**result, "title": "Another."}])
    assert page.count("## few\n") == 1
    assert "A title.\n\n```sh\n.venv/bin/python -m x --json\n```\n\n| a | b |\n| --- | ---: |\n| c | d |" in page
    assert "Another." in page
