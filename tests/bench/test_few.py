"""The study of few people: its variants are what their names say, and its table is on the page of benchmarks."""

import pytest
import torch
from worlds import world

from bench.compare.keel import Keel
from bench.compare.method import Method
from bench.compare.page import PROSE, render
from bench.compare.peers.aggregate import everybody, head, length
from bench.compare.peers.answers import Answers
from bench.compare.world import World
from bench.studies import few
from bench.studies.few import BASE, COLUMNS, NO_TASTES, centred, measure
from elicitation.choice import ChoiceModel
from elicitation.population import Component, Population
from reward_bases.train.model.learn import Learned, LearnSettings


def one_head(place: World) -> Method:
    return everybody(head(Answers.of_training(place), 10.0))


@pytest.fixture
def learned_once(monkeypatch: pytest.MonkeyPatch) -> Learned:
    """A fit with two heads whose people are not where the aggregate head is."""
    mean, covariance = torch.tensor([2.0, -1.0]).double(), torch.tensor([[1.0, 0.3], [0.3, 0.5]]).double()
    found = Learned(
        torch.eye(2, 4).double(), Population((Component(1.0, mean, covariance),)), ChoiceModel(tie=0.5, lapse=0.0)
    )
    monkeypatch.setattr(few, "learned", lambda *_: found)
    monkeypatch.setattr(few, "best_ridge", lambda _: 10.0)
    return found


def test_around_the_aggregate_the_mean_is_the_tuned_head_and_people_differ_as_before(learned_once: Learned) -> None:
    place = world()
    method = centred(place)
    assert isinstance(method, Keel)
    tuned = head(Answers.of_training(place), 10.0)
    torch.testing.assert_close(method.learned.population.mean @ method.learned.heads, tuned)
    spread = method.learned.heads.T @ method.learned.population.covariance @ method.learned.heads
    before = learned_once.heads.T @ learned_once.population.covariance @ learned_once.heads
    torch.testing.assert_close(spread, before)


def test_only_what_is_given_stays_out_of_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[frozenset[str]] = []

    def chosen(judged: object, fixed: object, start: LearnSettings, new: bool, given: frozenset[str]) -> LearnSettings:
        asked.append(given)
        return NO_TASTES

    monkeypatch.setattr(few, "choose_settings", chosen)
    place: World = world(seed=3)
    for name in ("keel", "no tastes", "no calm", "no test"):
        few.STEPS[name][1](place)
    assert asked == [frozenset(), few.ALONE, frozenset({"mean_shrinkage"}), frozenset({"covariance_scale"})]


def test_the_table_has_a_row_per_variant_and_no_difference_of_the_aggregate_from_itself() -> None:
    steps = {BASE: ("one head", one_head), "length": ("length alone", length)}
    result = measure([world(seed=seed) for seed in range(2)], steps)
    first, second = result["rows"]
    assert first[2:] == ["+0.000 [+0.000, +0.000]"] * 4
    assert float(second[2].split()[0].replace("−", "-")) < -0.1
    assert len(first) == len(COLUMNS)
    assert result["title"].startswith("small: 6 people tested in 2 splits; in the mean, 6 people and 1 prompts")


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
