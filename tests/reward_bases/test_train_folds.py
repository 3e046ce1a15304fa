"""Folds over people and prompts."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from reward_bases.train.validate.folds import ENOUGH, FOLDS, NEW_PROMPTS, Fold, folds

SIZES = st.integers(5, 400)


def folds_of(people: int, prompts: int, new_prompts: bool = True) -> list[Fold]:
    return folds(people, torch.arange(prompts).repeat(2), new_prompts, torch.Generator().manual_seed(0))


@given(SIZES, SIZES)
def test_nobody_is_left_out_twice_and_a_fold_leaves_out_a_fifth(people: int, prompts: int) -> None:
    left_out = torch.stack([fold.people for fold in folds_of(people, prompts)])
    assert int(left_out.sum(0).max()) == 1
    assert set(left_out.sum(1).tolist()) <= {people // FOLDS, -(-people // FOLDS)}


@given(SIZES, SIZES)
def test_all_of_a_prompt_is_new_or_nothing(people: int, prompts: int) -> None:
    for fold in folds_of(people, prompts):
        first, second = fold.new.view(2, prompts)
        assert bool((first == second).all())


@given(SIZES)
def test_few_prompts_are_new_equally_often(prompts: int) -> None:
    """Five folds go round the circle once, whatever lies on it."""
    new = torch.stack([fold.new for fold in folds_of(5, prompts)])[:, :prompts].sum(0)
    assert int(new.min()) >= 1
    assert int(new.max()) <= 2
    assert abs(float(new.double().mean()) / FOLDS - NEW_PROMPTS) <= 1 / prompts


def test_there_are_folds_until_enough_people_and_prompts_were_left_out() -> None:
    assert len(folds_of(5 * ENOUGH, 5 * ENOUGH)) == 1
    assert len(folds_of(5 * ENOUGH, 5)) == FOLDS
    assert len(folds_of(5, 5 * ENOUGH)) == FOLDS
    assert len(folds_of(5 * ENOUGH, 5, new_prompts=False)) == 1


def test_items_known_by_heart_have_no_new_prompts() -> None:
    assert not any(bool(fold.new.any()) for fold in folds_of(20, 20, new_prompts=False))
