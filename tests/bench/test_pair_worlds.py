"""Worlds of anybody's comparisons: every person with enough judgments is held out once a seed, with some prompts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from world_files import comparisons, encode, items, taught, ten_each, write

from bench.compare.world import World
from bench.compare.worlds import pairs
from bench.compare.worlds.text import LENGTH
from elicitation.errors import InvalidInput


@pytest.fixture(scope="module")
def of_ten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """251 people of ten judgments each, on features that are given."""
    folder = tmp_path_factory.mktemp("ten")
    ten_each(folder, people=251)
    return folder


@pytest.fixture(scope="module")
def folds(of_ten: Path) -> tuple[World, ...]:
    return pairs.worlds(0, False, of_ten, encode)


def test_everybody_with_ten_judgments_is_tested_once_a_seed(folds: tuple[World, ...]) -> None:
    tested = [person.person for world in folds for person in world.people]
    assert sorted(tested) == list(range(251))
    assert [world.fold for world in folds] == list(range(pairs.FOLDS))
    assert {(world.name, world.seed) for world in folds} == {(folds[0].name, 0)}


def test_everybody_has_about_six_questions_and_four_targets(folds: tuple[World, ...]) -> None:
    counts = [(len(person.pool), len(person.targets)) for world in folds for person in world.people]
    assert all(asked + tested == 10 and 2 <= tested <= 7 for asked, tested in counts)
    assert np.mean(counts, axis=0) == pytest.approx([6, 4], abs=0.2)


def test_all_others_teach_but_not_about_the_targets(folds: tuple[World, ...]) -> None:
    for world in folds:
        asked, tested = (set().union(*parts) for parts in zip(*map(items, world.people), strict=True))
        assert world.train.size == 251 - len(world.people)
        assert not tested & (asked | taught(world))
        assert {*world.served.left.tolist(), *world.served.right.tolist()} <= taught(world)


def test_questions_are_on_prompts_that_others_taught(folds: tuple[World, ...]) -> None:
    for world in folds:
        assert {number for person in world.people for number in person.prompts.tolist()} <= set(
            world.train.prompts.tolist()
        )


def test_folds_and_seeds_have_other_targets(of_ten: Path, folds: tuple[World, ...]) -> None:
    seeds = [*folds, *pairs.worlds(1, False, of_ten, encode)]
    targets = [frozenset(set().union(*(items(person)[1] for person in world.people))) for world in seeds]
    assert len(set(targets)) == len(seeds)


def test_a_person_has_one_number_in_every_seed_and_fold(of_ten: Path, folds: tuple[World, ...]) -> None:
    def judged(some: tuple[World, ...]) -> dict[int, set[int]]:
        return {person.person: set().union(*items(person)) for world in some for person in world.people}

    assert judged(folds) == judged(pairs.worlds(1, False, of_ten, encode))


def test_few_judgments_teach_and_are_not_tested(tmp_path: Path) -> None:
    ten_each(tmp_path, people=30, busy=20, rest=pairs.MIN_JUDGMENTS - 1)
    found = pairs.worlds(0, False, tmp_path, encode)
    assert sorted(person.person for world in found for person in world.people) == list(range(20))
    assert all(world.train.size == 30 - len(world.people) for world in found)


def test_of_many_people_as_many_are_held_out_as_a_run_can_pay_for(tmp_path: Path) -> None:
    ten_each(tmp_path, people=1000)
    (world,) = pairs.worlds(0, False, tmp_path, encode)
    assert len(world.people) == pairs.HELD_OUT
    assert world.train.size == 1000 - pairs.HELD_OUT


def test_a_quick_look_is_at_one_fold(of_ten: Path) -> None:
    (world,) = pairs.worlds(0, True, of_ten, encode)
    assert len(world.people) == pairs.HELD_OUT_QUICK


@pytest.mark.parametrize("shared", [True, False])
def test_target_prompts_are_held_out_whether_people_share_them_or_not(tmp_path: Path, shared: bool) -> None:
    comparisons(tmp_path / "mine.csv.gz", shared)
    found = pairs.worlds(0, False, tmp_path / "mine.csv.gz", encode)
    assert sum(len(world.people) for world in found) == 20
    for world in found:
        asked, tested = (set(torch.cat(parts).tolist()) for parts in zip(*_prompts(world), strict=True))
        known = set(world.train.prompts.tolist())
        assert tested
        assert not tested & (asked | known)
        assert asked <= known if shared else not asked & known


def _prompts(world: World) -> list[tuple[Tensor, Tensor]]:
    """Per held-out person, prompts asked and tested; in these files items follow their prompts' order."""
    return [(person.prompts, person.targets.left.minimum(person.targets.right) // 2) for person in world.people]


def test_exchanging_sides_exchanges_the_answer(tmp_path: Path) -> None:
    comparisons(tmp_path / "mine.csv.gz", shared=True)
    world, *_ = pairs.worlds(0, False, tmp_path / "mine.csv.gz", encode)
    longer = world.differences(world.train.pairs)[:, LENGTH].sign()
    assert bool(((longer == world.train.outcomes.towards) | (world.train.outcomes.towards == 0)).all())
    assert set(longer.tolist()) == {-1.0, 1.0}
    for person in world.people:
        assert torch.equal(person.labels, world.differences(person.targets)[:, LENGTH] > 0)


@pytest.mark.parametrize(("people", "prompts"), [(1, 12), (20, 1), (20, 7)])
def test_a_file_of_too_few_people_or_prompts_says_what_to_add(tmp_path: Path, people: int, prompts: int) -> None:
    rows = [(f"u{u}", f"prompt {i}", "one", "two", "a") for u in range(people) for i in range(prompts)]
    write(tmp_path / "one.csv.gz", ("user", "prompt", "response_a", "response_b", "choice"), rows)
    with pytest.raises(InvalidInput, match=rf"^{people} people judged {prompts} prompts.*add people with at least 8"):
        pairs.worlds(0, False, tmp_path / "one.csv.gz", encode)


def test_given_features_stand_for_texts(folds: tuple[World, ...]) -> None:
    for world in folds:
        deviation = world.differences(world.train.pairs).square().mean(0).sqrt()
        assert world.length is None
        assert torch.allclose(deviation, torch.ones_like(deviation))


def test_every_share_of_targets_is_about_the_same_where_prompts_are_shared(folds: tuple[World, ...]) -> None:
    shares = [len(p.targets) / (len(p.pool) + len(p.targets)) for world in folds for p in world.people]
    drawn_at_random = (pairs.TARGET_SHARE * (1 - pairs.TARGET_SHARE) / 10) ** 0.5
    assert np.std(shares) < 0.75 * drawn_at_random
