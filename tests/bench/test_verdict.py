"""The study of the verdict: labels that nothing decides, judged as ``keel train`` judges, and the verdicts counted."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from short_search import shorten_search

from bench.compare.page import PROSE, render
from bench.studies import verdict
from bench.studies.verdict import COLUMNS, Crowd, Run, Seeds, asked, dealt, judged_by, labelled, seeds_of
from elicitation.statistics import Interval
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.fitting import fits_without_folds
from reward_bases.train.request import Request
from reward_bases.train.training_set import Materials
from reward_bases.train.validate import choose
from reward_bases.train.validate.evaluate import evaluate
from reward_bases.train.validate.split import FOLDS
from reward_bases.train.validate.split import tests as folds

SMALL = Crowd(people=40, each=10, prompts=20, features=4)
NOTHING = Interval(0.0, -0.1, 0.1)


class Silence:
    """Hears nothing."""

    def stage(self, name: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass

    def say(self, text: str) -> None:
        pass


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_search(monkeypatch)
    monkeypatch.setattr(choose, "MEAN_SHRINKAGES", (0.9, 1.0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def of_people_with_tastes(crowd: Crowd) -> Judgments:
    """Half of the people choose whatever has more of feature 0, the others whatever has less."""
    judged = asked(crowd)
    more = judged.items.rows(judged.left)[:, 0] > judged.items.rows(judged.right)[:, 0]
    return replace(judged, outcomes=labelled(torch.where(more == (judged.people % 2 == 0), 0, 2)))


def had(monkeypatch: pytest.MonkeyPatch, verdicts: list[str]) -> None:
    """Runs have these verdicts; "better" gained 0.02 on the aggregate, "worse" lost 0.02."""
    gained = {"better": 0.02, "worse": -0.02, "unclear": 0.0}
    left = iter(verdicts)

    def run(*_: object) -> Run:
        found = next(left)
        return Run(found, replace(NOTHING, value=gained[found]), NOTHING)

    monkeypatch.setattr(verdict, "one_run", run)


def result_of(monkeypatch: pytest.MonkeyPatch, verdicts: list[str]) -> dict[str, Any]:
    had(monkeypatch, verdicts)
    return verdict.measure(SMALL, len(verdicts))


@pytest.mark.slow
@pytest.mark.usefixtures("short_search")
def test_people_with_tastes_of_their_own_are_found_to_be_better_off() -> None:
    found = judged_by(of_people_with_tastes(replace(SMALL, each=20)), seed=1)
    assert found.verdict == "better"
    assert found.decisive.gain["log_likelihood"].value > 0.1


@pytest.mark.slow
@pytest.mark.usefixtures("short_search")
def test_people_are_judged_in_folds_and_exactly_as_keel_train_judges_them(tmp_path: Path) -> None:
    judged = dealt(asked(SMALL), SMALL.ties, generator())
    materials = Materials(judged, folds(judged, generator(1)), None, keeps_named=False)
    request = Request(tmp_path, tmp_path, tmp_path, seed=1)
    trained = fits_without_folds(materials, request, tmp_path, Silence())
    found = judged_by(judged, seed=1)
    assert found == evaluate([fit.predictions(split) for split, fit in trained], SMALL.people, generator(1))
    assert (found.folds, found.new_prompts) == (FOLDS, True)
    assert found.people + found.unjudged == SMALL.people


@pytest.mark.slow
@pytest.mark.usefixtures("short_search")
def test_a_seed_gives_the_same_runs_again_and_another_seed_others() -> None:
    (first, second), again, other = (runs_of(seed, count) for seed, count in ((3, 2), (3, 1), (4, 1)))
    assert again == [first]
    assert first not in (second, *other)


def runs_of(seed: int, count: int) -> list[Any]:
    result = verdict.measure(replace(SMALL, people=20, seed=seed), count)
    assert sum(result["counts"].values()) == count
    runs: list[Any] = result["runs"]
    return runs


def test_a_run_is_the_same_however_many_follow_it_and_its_labels_have_a_seed_of_their_own() -> None:
    assert seeds_of(5, 200)[:3] == seeds_of(5, 3)
    assert len({seed for each in seeds_of(5, 200) for seed in (each.labels, each.training)}) == 400


def test_labels_depend_on_no_feature_and_have_the_share_of_ties() -> None:
    crowd = Crowd(people=2000)
    judged = dealt(asked(crowd), 0.1, generator())
    shares = torch.bincount(judged.outcomes.column, minlength=3) / len(judged)
    assert shares.tolist() == pytest.approx([0.45, 0.1, 0.45], abs=0.02)
    (differences,) = (x for _, x in judged.blocks())
    with_label = torch.corrcoef(torch.cat([differences, judged.outcomes.towards[:, None]], dim=1).T)[-1, :-1]
    assert float(with_label.abs().max()) < 0.03
    assert not torch.equal(judged.outcomes.column, dealt(judged, 0.1, generator(1)).outcomes.column)


def test_everybody_judges_as_often_and_compares_different_responses_to_one_prompt() -> None:
    judged = asked(SMALL)
    assert torch.bincount(judged.people).tolist() == [SMALL.each] * SMALL.people
    assert torch.equal(judged.left // SMALL.responses, judged.prompts)
    assert torch.equal(judged.right // SMALL.responses, judged.prompts)
    assert not bool((judged.left == judged.right).any())


def test_one_run_deals_by_one_seed_and_trains_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[tuple[list[int], int]] = []

    def note(judged: Judgments, seed: int) -> None:
        met.append((judged.outcomes.column.tolist(), seed))

    monkeypatch.setattr(verdict, "judged_by", note)
    monkeypatch.setattr(Run, "of", lambda _: None)
    for seeds in (Seeds(1, 7), Seeds(1, 8), Seeds(2, 8)):
        verdict.one_run(SMALL, seeds)
    assert [seed for _, seed in met] == [7, 8, 8]
    assert met[0][0] == met[1][0] != met[2][0]


def test_verdicts_are_counted_beside_how_many_may_err(monkeypatch: pytest.MonkeyPatch) -> None:
    result = result_of(monkeypatch, ["better"] + ["worse"] * 3 + ["unclear"] * 36)
    assert result["counts"] == {"better": 1, "worse": 3, "unclear": 36}
    assert [row[:4] for row in result["rows"]] == [
        ["better", "1", "2", "2.5%"],
        ["worse", "3", "2", "7.5%"],
        ["unclear", "36", "", "90.0%"],
    ]
    assert [row[5] for row in result["rows"]] == ["+0.0200", "−0.0200", "+0.0000"]
    assert "in 40 runs" in result["title"]
    assert "−0.0010 on the aggregate, +0.0000 on no answers" in result["title"]


def test_ten_of_two_hundred_runs_may_err() -> None:
    assert verdict.allowed(200) == 10


def test_the_table_can_stand_on_the_page_of_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    page = render([], None, PROSE, "plots", [result_of(monkeypatch, ["unclear"] * 20)])
    assert page.count("## verdict\n") == 1
    assert f"| {' | '.join(COLUMNS)} |" in page
    assert "| better | 0 | 1 | 0.0% |" in page


def test_the_command_prints_what_it_writes_and_says_how_to_get_it_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    had(monkeypatch, ["unclear", "better"])
    options = "--runs 2 --people 30 --each 9 --seed 4"
    assert verdict.main([*options.split(), "--json", "--out", str(tmp_path / "found.json")]) == 0
    said, progress = capsys.readouterr()
    result = json.loads(said)
    assert result == json.loads((tmp_path / "found.json").read_text())
    assert result["command"] == f"python -m bench.studies.verdict {options}"
    assert result["title"].startswith("30 people of 9 judgments each, ")
    assert progress == "1/2 unclear\n2/2 better\n"


def test_without_json_the_command_prints_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    had(monkeypatch, ["unclear", "better"])
    assert verdict.main(["--runs", "2"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("verdict", "better", "worse", "unclear", "50.0%"))
