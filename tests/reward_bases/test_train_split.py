"""Who is held out: a tenth where people are many, everybody once where they are few."""

import pytest
import torch
from torch import Tensor

from elicitation.choice import Outcomes
from reward_bases.train.data.judgments import InMemory, Judgments
from reward_bases.train.validate import split
from reward_bases.train.validate.split import (
    ENOUGH_JUDGMENTS,
    ENOUGH_PEOPLE,
    FEWEST_JUDGMENTS,
    FEWEST_PROMPTS,
    FOLDS,
    Split,
    folds_of_people,
)

NOTHING = InMemory(torch.zeros(0, 0, dtype=torch.float64))


def judged(each: list[int], prompts: int = 40) -> Judgments:
    """So many judgments of each person; ``strength`` numbers them all, so that a judgment can be told."""
    who = torch.arange(len(each)).repeat_interleave(torch.tensor(each))
    count = len(who)
    generator = torch.Generator().manual_seed(1)
    zeros = torch.zeros(count, dtype=torch.long)
    outcomes = Outcomes(zeros, zeros.double(), torch.arange(count).double())
    asked = torch.randint(prompts, (count,), generator=generator)
    return Judgments(NOTHING, zeros, zeros + 1, who, asked, outcomes, len(each))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def numbers(part: Judgments) -> set[int]:
    """Which judgments of the data these are."""
    return {int(each) for each in part.outcomes.strength}


def whose(every: Judgments, part: Judgments) -> Tensor:
    """The people (P,), as the data number them, with a judgment in ``part``."""
    return every.people[sorted(numbers(part))].unique()


def test_many_people_are_judged_by_the_tenth_that_was_always_held_out() -> None:
    many = judged([26] * (10 * ENOUGH_PEOPLE))
    (found,), before = split.tests(many, seeded()), Split.of(many, seeded())
    for part in ("teach", "observed", "held_out"):
        assert numbers(getattr(found, part)) == numbers(getattr(before, part))
    assert torch.equal(found.place, before.place)
    assert found.held_out.size == ENOUGH_PEOPLE
    assert len(found.held_out) >= ENOUGH_JUDGMENTS


@pytest.mark.parametrize("each", [[26] * (5 * ENOUGH_PEOPLE), [10] * (10 * ENOUGH_PEOPLE)])
def test_few_people_or_few_judgments_held_out_make_folds(each: list[int]) -> None:
    assert len(split.tests(judged(each), seeded())) == FOLDS


def test_everybody_with_enough_judgments_is_held_out_once_and_the_others_only_teach() -> None:
    every = judged([10] * 31 + [FEWEST_JUDGMENTS - 1] * 9)
    found = folds_of_people(every, seeded())
    held = torch.stack([~part.teachers for part in found])
    assert held.sum(0).tolist() == [1] * 31 + [0] * 9
    assert sorted(part.held_out.size for part in found) == [6, 6, 6, 6, 7]


def test_a_fold_teaches_nothing_of_its_people_and_its_prompts() -> None:
    every = judged([10] * 60)
    for part in folds_of_people(every, seeded()):
        assert part.new_prompts
        assert not set(whose(every, part.teach).tolist()) & set(whose(every, part.held_out).tolist())
        asked = set(part.held_out.prompts.tolist())
        assert not asked & set(part.teach.prompts.tolist())
        assert not asked & set(part.observed.prompts.tolist())


def test_every_prompt_is_new_to_one_fold() -> None:
    every = judged([30] * 60, prompts=20)
    found = [set(part.held_out.prompts.tolist()) for part in folds_of_people(every, seeded())]
    assert sorted(prompt for part in found for prompt in part) == list(range(20))
    assert {len(part) for part in found} == {20 // FOLDS}


def test_with_few_prompts_half_of_a_persons_judgments_are_predicted() -> None:
    every = judged([10] * 60, prompts=FEWEST_PROMPTS - 1)
    found = folds_of_people(every, seeded())
    predicted = [number for part in found for number in numbers(part.held_out)]
    assert not any(part.new_prompts for part in found)
    assert len(predicted) == len(set(predicted)) == 60 * 5
    assert all(not numbers(part.observed) & numbers(part.held_out) for part in found)


def test_folds_that_judge_by_no_more_people_are_not_made() -> None:
    assert len(split.tests(judged([FEWEST_JUDGMENTS - 1] * 60), seeded())) == 1
    assert len(split.tests(judged([10] * 6 + [FEWEST_JUDGMENTS - 1] * 60), seeded())) == 1


def test_the_folds_follow_from_the_seed() -> None:
    every = judged([10] * 60)
    first, again = folds_of_people(every, seeded()), folds_of_people(every, seeded())
    other = folds_of_people(every, torch.Generator().manual_seed(8))
    assert all(torch.equal(one.teachers, two.teachers) for one, two in zip(first, again, strict=True))
    assert any(not torch.equal(one.teachers, two.teachers) for one, two in zip(first, other, strict=True))
