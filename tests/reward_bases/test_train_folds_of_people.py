"""Settings and heads without a fold of the people: nothing that its people said may decide what they are judged by."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from short_search import shorten_search

from elicitation.choice import Outcomes
from reward_bases.train.data.judgments import InMemory, Judgments
from reward_bases.train.fitting import SCORES, Fit, fits_without_folds
from reward_bases.train.model.checkpoint import Scores
from reward_bases.train.request import Request
from reward_bases.train.training_set import Materials
from reward_bases.train.validate import choose
from reward_bases.train.validate.split import FOLDS, Split, folds_of_people

pytestmark = pytest.mark.slow

FEATURES, PROMPTS, PER_PROMPT, PEOPLE, EACH = 4, 20, 4, 40, 10


class Silence:
    """Hears the names of stages."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def progress(self, done: int, total: int) -> None:
        pass

    def say(self, text: str) -> None:
        pass


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_search(monkeypatch)
    monkeypatch.setattr(choose, "MEAN_SHRINKAGES", (0.9, 1.0))


def judged() -> Judgments:
    """People who differ in feature 0."""
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(PROMPTS * PER_PROMPT, FEATURES, generator=generator).double()
    who = torch.arange(PEOPLE).repeat_interleave(EACH)
    prompts = torch.randint(PROMPTS, (len(who),), generator=generator)
    places = torch.rand(len(who), PER_PROMPT, generator=generator).argsort(1)[:, :2]
    left, right = (prompts[:, None] * PER_PROMPT + places).T
    z = (items[left] - items[right])[:, 0] * torch.where(who % 2 == 0, 2.0, -2.0)
    column = torch.where(torch.rand(len(who), generator=generator).double() < z.sigmoid(), 0, 2)
    return Judgments(InMemory(items), left, right, who, prompts, said(column), PEOPLE)


def said(column: torch.Tensor) -> Outcomes:
    return Outcomes(column, (1 - column).double(), torch.zeros(len(column)).double())


def fits(of: Judgments, folder: Path, listener: Silence) -> list[tuple[Split, Fit]]:
    splits = folds_of_people(of, torch.Generator().manual_seed(3))
    request = Request(folder, folder, folder, heads=1, ridge=10.0)
    materials = Materials(of, splits, None, keeps_named=False)
    return list(fits_without_folds(materials, request, folder, listener))


def test_what_people_said_does_not_change_the_fit_that_they_are_judged_by(tmp_path: Path) -> None:
    every = judged()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = fits(every, tmp_path / "a", Silence())
    own = ~before[0][0].teachers[every.people]
    column = torch.where(own, 2 - every.outcomes.column, every.outcomes.column)
    after = fits(replace(every, outcomes=said(column)), tmp_path / "b", Silence())
    assert after[0][1].settings == before[0][1].settings
    assert torch.equal(after[0][1].learned.heads, before[0][1].learned.heads)
    assert torch.equal(after[0][1].everybodys_head, before[0][1].everybodys_head)
    assert not torch.equal(after[1][1].learned.heads, before[1][1].learned.heads)


def test_each_fold_keeps_scores_of_its_own_and_says_which_it_is(tmp_path: Path) -> None:
    listener = Silence()
    fits(judged(), tmp_path, listener)
    kept = [dict(Scores(tmp_path / f"fold-{number}" / SCORES)) for number in range(1, FOLDS + 1)]
    assert all(kept)
    assert len({tuple(one.values()) for one in kept}) == FOLDS
    expected = ("measuring features", "choosing settings", "learning")
    assert listener.stages == [f"fold {n} of {FOLDS}: {stage}" for n in range(1, FOLDS + 1) for stage in expected]
