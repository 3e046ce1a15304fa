"""Courses: who is asked what, and what is done to the answers."""

import dataclasses
from itertools import pairwise

import pytest
import torch
from worlds import METHODS, POOL, SLOW, TOGETHER, aggregate, keel, keel_random, world

from bench.compare.run import Play, Subsample, Task, arrived, sent, some_people, tasks, trajectories
from bench.compare.simulate import AS_RECORDED, STAGES, Distortion, distorted, open_questions, play
from bench.compare.world import World
from elicitation.errors import InvalidInput

FLIPPED = (0.1, 0.2, 0.4)


@pytest.fixture(scope="module")
def small() -> World:
    return world()


def test_nobody_is_asked_a_question_twice(small: World) -> None:
    for method in METHODS:
        trajectory = play(small, METHODS[method](small), method)
        assert all(len(asked) == max(STAGES) == len(set(asked)) for asked in trajectory.asked)


def test_a_prompt_comes_again_only_when_all_others_have_come(small: World) -> None:
    few = world(prompts=5)
    trajectory = play(few, keel(few), "keel")
    for person, asked in zip(few.people, trajectory.asked, strict=True):
        prompts = person.prompts[list(asked)].tolist()
        for first in range(0, len(prompts), 5):
            assert len(set(prompts[first : first + 5])) == len(prompts[first : first + 5])


def test_with_one_prompt_for_all_only_the_questions_asked_are_closed() -> None:
    prompts = torch.zeros(4, dtype=torch.long)
    assert open_questions(prompts, [2]).tolist() == [True, True, False, True]


def test_an_exhausted_prompt_does_not_close_the_others() -> None:
    assert open_questions(torch.tensor([5, 9, 9, 9]), [0, 1]).tolist() == [False, False, True, True]


def test_whoever_has_nothing_left_keeps_their_answers() -> None:
    short = world(pool=7)
    trajectory = play(short, keel(short), "keel")
    assert all(sorted(asked) == list(range(7)) for asked in trajectory.asked)
    assert (trajectory.predictions[10] == trajectory.predictions[20]).all()


def test_rules_that_draw_draw_alike_in_all_methods(small: World) -> None:
    one, other = play(small, aggregate(small), "aggregate"), play(small, keel_random(small), "keel-random")
    assert one.asked == other.asked


def test_a_course_repeats_itself_whatever_is_played_before(small: World) -> None:
    first = play(small, keel_random(small), "keel")
    torch.rand(10)
    again = play(small, keel_random(small), "keel")
    assert first.asked == again.asked
    assert all((first.predictions[k] == again.predictions[k]).all() for k in STAGES)


def test_before_any_answer_everybody_is_predicted_alike_by_what_was_learned(small: World) -> None:
    trajectory = play(small, keel(small), "keel")
    expected = torch.cat([torch.sigmoid(small.differences(p.targets)[:, 0]) for p in small.people])
    torch.testing.assert_close(torch.from_numpy(trajectory.predictions[0]), expected)


def test_predictions_after_k_answers_rest_on_the_first_k_questions(small: World) -> None:
    trajectory = play(small, keel_random(small), "keel-random")
    person, asked = small.people[0], list(trajectory.asked[0][:5])
    sides = person.outcomes.towards[asked]
    moved = 0.3 * sides @ small.differences(person.pool)[asked]
    moved[0] += 1.0
    expected = torch.sigmoid(small.differences(person.targets) @ moved)
    torch.testing.assert_close(torch.from_numpy(trajectory.predictions[5][: len(expected)]), expected)


def test_turning_answers_turns_every_one(small: World) -> None:
    person = small.people[0]
    turned = distorted(small, person, Distortion(turned=True))
    assert (turned.towards == -person.outcomes.towards).all()
    assert (turned.column == 2 - person.outcomes.column).all()


def test_turned_answers_turn_what_is_believed_of_a_person(small: World) -> None:
    method = dataclasses.replace(keel_random(small), start=torch.zeros(4, dtype=torch.float64))
    straight, turned = play(small, method, "x"), play(small, method, "x", distortion=Distortion(turned=True))
    torch.testing.assert_close(torch.from_numpy(straight.predictions[20]), 1 - torch.from_numpy(turned.predictions[20]))


@pytest.mark.parametrize("share", FLIPPED)
def test_the_stated_share_of_answers_is_flipped(small: World, share: float) -> None:
    for person in small.people:
        changed = distorted(small, person, Distortion(flipped=share)).towards != person.outcomes.towards
        assert int(changed.sum()) == round(share * POOL)


def test_flips_are_the_same_for_all_methods_and_grow_with_the_share(small: World) -> None:
    person = small.people[1]
    changed = [
        distorted(small, person, Distortion(flipped=share)).towards != person.outcomes.towards for share in FLIPPED
    ]
    again = distorted(small, person, Distortion(flipped=FLIPPED[0])).towards != person.outcomes.towards
    assert (changed[0] == again).all()
    assert all((less <= more).all() for less, more in pairwise(changed))


class _Stubborn:
    """Asks the first question again and again, and is too sure of itself."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def believe(self, observed: object) -> "_Stubborn":
        return self

    def choose(self, person: int, pool: torch.Tensor, allowed: torch.Tensor, generator: torch.Generator) -> int:
        return 0

    def prefer(self, person: int, targets: torch.Tensor) -> torch.Tensor:
        return torch.full((len(targets),), self.probability, dtype=torch.float64)


@pytest.mark.parametrize(("probability", "message"), [(0.5, "not allowed"), (1.2, "probabilities")])
def test_broken_methods_are_named(small: World, probability: float, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"stubborn .*{message}"):
        play(small, _Stubborn(probability), "stubborn")


def test_slow_methods_meet_few_people_in_the_first_seeds() -> None:
    worlds = [world(name, seed) for name in ("a", "b") for seed in range(3)]
    todo = tasks(worlds, list(METHODS), SLOW, Subsample(people=16, each=6, seeds=2), TOGETHER)
    assert len(todo) == len(TOGETHER) * len(worlds)
    plays = [(task.world.name, task.world.seed, each) for task in todo for each in task.plays]
    slow = [(name, seed) for name, seed, each in plays if each.method == "gp-rbf-bald"]
    assert slow == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert {each.people for _, _, each in plays if each.method == "gp-rbf-bald"} == {8}
    assert {each.people for _, _, each in plays if each.method != "gp-rbf-bald"} == {None}


def test_slow_methods_meet_the_first_fold_and_everything_else_every_fold() -> None:
    folds = [dataclasses.replace(world("a", seed), fold=fold) for seed in (0, 1) for fold in range(3)]
    todo = tasks(folds, ["keel", "gp-rbf-bald"], SLOW, Subsample(people=6, each=6, seeds=1), [frozenset(METHODS)])
    plays = [(task.world.seed, task.world.fold, each) for task in todo for each in task.plays]
    assert [(seed, fold) for seed, fold, each in plays if each.method == "gp-rbf-bald"] == [(0, 0)]
    assert {(seed, fold) for seed, fold, each in plays if each.distortion != AS_RECORDED} == {(0, 0)}
    recorded = [(seed, fold) for seed, fold, each in plays if each == Play("keel")]
    assert recorded == [(seed, fold) for seed in (0, 1) for fold in range(3)]


def test_slow_methods_meet_somebody_of_every_world() -> None:
    worlds = [world(name, 0) for name in ("a", "b", "c")]
    todo = tasks(worlds, ["gp-rbf-bald"], SLOW, Subsample(people=3, each=2, seeds=1), TOGETHER)
    assert [each.people for task in todo for each in task.plays] == [2, 2, 2]


def test_names_of_one_recipe_share_a_course(monkeypatch: pytest.MonkeyPatch, small: World) -> None:
    monkeypatch.setitem(METHODS, "keel-again", METHODS["keel"])
    todo = tasks([small], ["keel", "keel-again"], SLOW, Subsample(people=6, each=6, seeds=1), [frozenset(METHODS)])
    one, again, *_ = trajectories(todo[0], METHODS)
    assert (one.method, again.method) == ("keel", "keel-again")
    assert again.predictions is one.predictions


def test_the_few_people_are_the_same_for_every_slow_method(small: World) -> None:
    assert [p.person for p in some_people(small, 3).people] == [p.person for p in some_people(small, 3).people]


def test_a_world_arrives_as_it_was_sent(small: World) -> None:
    shared = dataclasses.replace(small, people=(small.people[0], dataclasses.replace(small.people[0], person=1)))
    task = arrived(sent(Task(shared, (Play("keel"),))))
    assert (task.world.name, task.plays) == (small.name, (Play("keel"),))
    assert torch.equal(task.world.features, small.features)
    assert torch.equal(task.world.people[1].outcomes.towards, small.people[0].outcomes.towards)
    assert task.world.people[0].pool is task.world.people[1].pool
