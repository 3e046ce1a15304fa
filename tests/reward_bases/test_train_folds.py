"""Folds over people and prompts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from elicitation.errors import InvalidInput
from reward_bases.train.validate.folds import ENOUGH, FEWEST_FOLDS, FOLDS, NEW_PROMPTS, Fold, folds

SIZES = st.integers(FOLDS, 150)
MANY = FOLDS * ENOUGH


def everybody_on_everything(people: int, prompts: int) -> tuple[Tensor, Tensor]:
    """Who judged (N,), and which prompt (N,)."""
    return torch.arange(people).repeat_interleave(prompts), torch.arange(prompts).repeat(people)


def folds_of(people: int, prompts: int, new_prompts: bool = True) -> list[Fold]:
    return folds_by(*everybody_on_everything(people, prompts), new_prompts)


def folds_by(people: Tensor, prompts: Tensor, new_prompts: bool = True) -> list[Fold]:
    return folds(int(people.max()) + 1, people, prompts, new_prompts, torch.Generator().manual_seed(0))


@given(SIZES, SIZES)
def test_nobody_is_left_out_twice_and_a_fold_leaves_out_a_tenth(people: int, prompts: int) -> None:
    left_out = torch.stack([fold.people for fold in folds_of(people, prompts)])
    assert int(left_out.sum(0).max()) == 1
    assert set(left_out.sum(1).tolist()) <= {people // FOLDS, -(-people // FOLDS)}


@given(SIZES, SIZES)
def test_all_of_a_prompt_is_new_or_nothing(people: int, prompts: int) -> None:
    for fold in folds_of(people, prompts):
        rows = fold.new.view(people, prompts)
        assert bool((rows == rows[0]).all())


@given(st.integers(2, 150))
def test_a_fold_has_its_share_of_the_prompts_and_at_least_one(prompts: int) -> None:
    new = torch.stack([fold.new for fold in folds_of(FOLDS, prompts)])[:, :prompts].sum(1)
    assert int(new.min()) >= 1
    assert int((new - NEW_PROMPTS * prompts).abs().max()) < 1


@given(st.integers(7, 150))
def test_few_prompts_are_new_equally_often(prompts: int) -> None:
    """Ten folds go round the circle once, whatever lies on it."""
    new = torch.stack([fold.new for fold in folds_of(FOLDS, prompts)])[:, :prompts].sum(0)
    assert int(new.min()) >= 1
    assert int(new.max()) <= 2
    assert abs(float(new.double().mean()) / FOLDS - NEW_PROMPTS) <= 1 / prompts


def test_there_are_folds_until_enough_people_and_prompts_were_left_out() -> None:
    assert len(folds_of(MANY // 5, MANY // 5)) == 5
    assert len(folds_of(MANY // 5, FOLDS)) == FOLDS
    assert len(folds_of(FOLDS, MANY // 5)) == FOLDS
    assert len(folds_of(MANY // 5, FOLDS, new_prompts=False)) == 5


def test_no_fold_decides_alone() -> None:
    assert len(folds_of(MANY, MANY)) == FEWEST_FOLDS == 2


def test_items_known_by_heart_have_no_new_prompts() -> None:
    assert not any(bool(fold.new.any()) for fold in folds_of(20, 20, new_prompts=False))


@given(st.integers(2, 30), st.integers(1, 30), st.integers(0, 99))
def test_every_fold_has_judgments_to_predict_and_to_learn_from(people: int, prompts: int, seed: int) -> None:
    """Everybody judged one prompt."""
    of = torch.randint(prompts, (people,), generator=torch.Generator().manual_seed(seed))
    for fold in folds_by(torch.arange(people), of):
        predicted = fold.people & fold.new if bool(fold.new.any()) else fold.people
        assert bool(predicted.any())
        assert bool((~fold.people & ~fold.new).any())


def test_the_next_fold_takes_the_place_of_one_that_divides_nothing() -> None:
    people, prompts = everybody_on_everything(MANY, 20)
    silent = folds_by(people, prompts, new_prompts=False)[0].people
    kept = ~silent[people]
    found = folds(MANY, people[kept], prompts[kept], False, torch.Generator().manual_seed(0))
    assert len(found) == FEWEST_FOLDS
    assert not any(bool((fold.people & silent).any()) for fold in found)


def test_where_there_is_but_one_prompt_it_is_not_left_out() -> None:
    found = folds_of(20, 1)
    assert len(found) == FOLDS
    assert not any(bool(fold.new.any()) for fold in found)


def test_one_person_makes_no_folds() -> None:
    with pytest.raises(InvalidInput, match="1 people judged"):
        folds_of(1, 5)
