"""How peers' settings are tuned: people, and prompts where they are new, left out in turn."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.compare.peers.aggregate import everybody
from bench.compare.peers.answers import Answers
from bench.compare.peers.lore import LoreSettings
from bench.compare.peers.tuning import ANSWER_DRAWS, ANSWERS, Split, rehearse, split, splits, tuned
from bench.compare.world import World
from reward_bases.train.validate.folds import FOLDS, NEW_PROMPTS

pytestmark = pytest.mark.slow


def a_tenth(answers: Answers) -> Tensor:
    return torch.arange(answers.size) % FOLDS == 0


def split_of(answers: Answers, withheld: Tensor | None = None) -> Split:
    return split(answers, a_tenth(answers), withheld, torch.Generator().manual_seed(0))


def test_left_out_people_are_not_among_those_learned_from(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    # Everybody's own number in place of their answers shows who ended up where.
    parts = split_of(replace(answers, wins=answers.people.double() + 1))
    learned, observed, held_out = (set(part.wins.tolist()) for part in (parts.learn, parts.observed, parts.held_out))
    assert observed == held_out
    assert not learned & observed
    assert len(learned) == (FOLDS - 1) * len(observed)


def test_ten_answers_of_left_out_people_are_observed_and_their_other_decided_ones_predicted(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    parts = split_of(answers)
    assert set(torch.bincount(parts.observed.people).tolist()) == {ANSWERS}
    assert parts.observed.size == ANSWER_DRAWS * int(a_tenth(answers).sum())
    assert bool((parts.held_out.wins != 0.5).all())
    read = sum(len(part.decided()) for part in (parts.observed, parts.held_out))
    assert len(parts.learn.decided()) + read / ANSWER_DRAWS == len(answers.decided())


def test_withheld_answers_alone_are_predicted_and_neither_learned_from_nor_observed(
    diverse: World,
) -> None:
    answers = Answers.of_training(diverse)
    withheld = torch.arange(len(answers)) % 3 == 0
    # Every answer carries whether it is withheld.
    parts = split_of(replace(answers, wins=withheld.double()), withheld)
    assert set(parts.held_out.wins.tolist()) == {1.0}
    assert set(parts.learn.wins.tolist()) | set(parts.observed.wins.tolist()) == {0.0}


def test_prompts_are_withheld_unless_items_are_known_by_heart(diverse: World) -> None:
    items = len(diverse.features)
    by_heart = replace(diverse, features=torch.eye(items, dtype=torch.float64))
    judgments = len(Answers.of_training(diverse))
    learned = {world.by_heart: len(splits(world)[0].learn) / judgments for world in (diverse, by_heart)}
    most = 1 - 1 / FOLDS
    assert learned[True] == pytest.approx(most)
    assert learned[False] == pytest.approx(most * (1 - NEW_PROMPTS), abs=0.02)


def test_in_a_small_world_everybody_is_left_out_once(diverse: World) -> None:
    parts = splits(diverse)
    assert len(parts) == FOLDS
    assert sum(part.observed.size for part in parts) == ANSWER_DRAWS * diverse.train.size


def test_every_held_out_answer_counts_the_same_whichever_part_it_is_from(diverse: World) -> None:
    small, large = (split_of(Answers.of_training(diverse).of(torch.arange(people))) for people in (10, 60))
    weights = torch.linspace(-1, 1, 8, dtype=torch.float64)
    apart = [rehearse([part], lambda _: everybody(weights).read) for part in (small, large)]
    numbers = [len(part.held_out) for part in (small, large)]
    together = rehearse([small, large], lambda _: everybody(weights).read)
    assert numbers[0] < numbers[1] / 4
    assert apart[0] != pytest.approx(apart[1], abs=1e-3)
    assert together == pytest.approx(sum(v * n for v, n in zip(apart, numbers, strict=True)) / sum(numbers))


def test_a_part_in_which_nothing_is_decided_changes_no_choice(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    part, undecided = split_of(answers), split_of(replace(answers, wins=torch.full_like(answers.wins, 0.5)))
    read = everybody(torch.ones(8, dtype=torch.float64)).read
    assert len(undecided.held_out) == 0
    assert rehearse([part, undecided], lambda _: read) == rehearse([part], lambda _: read)


def test_prompts_of_which_there_is_but_one_are_not_withheld(diverse: World) -> None:
    train = replace(diverse.train, prompts=torch.zeros_like(diverse.train.prompts))
    assert all(len(part.held_out) > 0 for part in splits(replace(diverse, train=train)))


def test_tuning_varies_one_setting_after_the_other_as_many_rounds_as_asked_for() -> None:
    start, grids = LoreSettings(pull=0.0, ridge=0.0), {"pull": (0.0, 1.0, 2.0), "ridge": (0.0, 1.0, 2.0)}

    def value(settings: LoreSettings) -> float:
        return -2 * (settings.ridge - 2) ** 2 - (settings.pull - settings.ridge) ** 2

    assert tuned(start, grids, value, rounds=1) == LoreSettings(pull=0.0, ridge=1.0)
    assert tuned(start, grids, value, rounds=2) == LoreSettings(pull=1.0, ridge=2.0)
