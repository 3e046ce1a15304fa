"""What every peer has in common, on tiny worlds with known tastes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from fitted_peers import first_answers, fit_on_four_splits, outcomes

from bench.compare.method import Belief, Method
from bench.compare.methods import METHODS, PEERS, TOGETHER
from bench.compare.peers.aggregate import head, length
from bench.compare.peers.answers import Answers
from bench.compare.peers.fitting import logistic
from bench.compare.world import NOBODY, Pairs, World

pytestmark = pytest.mark.slow

PREFS = ("pref", "pref-published", "pref-tuned")
PERSONAL = ("ridge", *PREFS, "lore", "rfm", "pal", "vpl", "gp-linear-eubo", "gp-rbf-bald")
UNDECIDED_AT_FIRST = ("length", "ridge", *PREFS, "rfm", "gp-linear-eubo", "gp-rbf-bald")
LIKE_THE_AGGREGATE = ("lore", "pal", "vpl")
GP_PEOPLE = 5


def accuracy(world: World, belief: Belief) -> float:
    hits = [
        ((belief.prefer(number, world.differences(person.targets)) > 0.5) == person.labels).double().mean()
        for number, person in enumerate(world.people)
    ]
    return float(torch.stack(hits).mean())


def few(world: World, name: str) -> World:
    """A Gaussian process is refitted per person: a few of them will do."""
    return replace(world, people=world.people[:GP_PEOPLE]) if name.startswith("gp") else world


@pytest.mark.parametrize("name", PERSONAL)
def test_twenty_answers_beat_chance_where_tastes_differ(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    world = few(diverse, name)
    assert accuracy(world, fitted_to(name, diverse).believe(first_answers(world, 20))) > 0.62


@pytest.mark.parametrize("name", PERSONAL)
def test_twenty_answers_say_more_than_one(name: str, diverse: World, fitted_to: Callable[[str, World], Method]) -> None:
    world, method = few(diverse, name), fitted_to(name, diverse)
    many, one = (accuracy(world, method.believe(first_answers(world, asked))) for asked in (20, 1))
    assert many > one + 0.02


def test_the_aggregate_beats_chance_only_where_people_agree(
    diverse: World, alike: World, fitted_to: Callable[[str, World], Method]
) -> None:
    assert accuracy(alike, fitted_to("aggregate", alike).believe(first_answers(alike, 0))) > 0.75
    assert abs(accuracy(diverse, fitted_to("aggregate", diverse).believe(first_answers(diverse, 20))) - 0.5) < 0.1


@pytest.mark.parametrize("name", UNDECIDED_AT_FIRST)
def test_without_answers_every_probability_is_a_half(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    world = replace(diverse, length=None) if name == "length" else diverse
    belief = (length(world) if name == "length" else fitted_to(name, world)).believe(first_answers(world, 0))
    p = belief.prefer(0, world.differences(world.people[0].targets))
    torch.testing.assert_close(p, torch.full_like(p, 0.5))


@pytest.mark.parametrize("name", LIKE_THE_AGGREGATE)
def test_without_answers_the_others_say_about_what_the_aggregate_says(
    name: str, alike: World, fitted_to: Callable[[str, World], Method]
) -> None:
    targets = alike.differences(alike.served)
    first = fitted_to(name, alike).believe(first_answers(alike, 0)).prefer(0, targets)
    everybody = fitted_to("aggregate", alike).believe(first_answers(alike, 0)).prefer(0, targets)
    assert float((first - everybody).abs().mean()) < 0.1


@pytest.mark.parametrize("name", PEERS)
def test_probabilities_stay_inside_zero_and_one_however_clear_the_pair(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    world = few(diverse, name)
    belief = fitted_to(name, diverse).believe(first_answers(world, 10))
    p = belief.prefer(0, 1e3 * world.differences(world.people[0].targets))
    assert bool(((p > 0) & (p < 1)).all())


@pytest.mark.parametrize("name", PEERS)
def test_turning_a_pair_round_turns_its_probability_round(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    world = few(diverse, name)
    belief = fitted_to(name, diverse).believe(first_answers(world, 10))
    targets = world.differences(world.people[0].targets)
    torch.testing.assert_close(belief.prefer(0, targets), 1 - belief.prefer(0, -targets), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", PEERS)
def test_a_question_is_one_of_those_allowed(
    name: str, diverse: World, generator: torch.Generator, fitted_to: Callable[[str, World], Method]
) -> None:
    world = few(diverse, name)
    pool = world.differences(world.people[0].pool)
    allowed = torch.zeros(len(pool), dtype=torch.bool)
    allowed[[3, 17, 30]] = True
    for answers in (0, 4):
        belief = fitted_to(name, diverse).believe(first_answers(world, answers))
        assert {belief.choose(0, pool, allowed, generator) for _ in range(10)} <= {3, 17, 30}


@pytest.mark.parametrize("name", ["aggregate", "pref", "rfm", "pal", "lore", "vpl"])
def test_a_recipe_gives_the_same_twice_and_never_looks_at_held_out_people(
    name: str, diverse: World, fitted_to: Callable[[str, World], Method]
) -> None:
    blind = replace(diverse, people=())
    again, first = fit_on_four_splits(name, blind), fitted_to(name, diverse)
    answers, targets = first_answers(diverse, 6), diverse.differences(diverse.served)
    torch.testing.assert_close(
        again.believe(answers).prefer(1, targets), first.believe(answers).prefer(1, targets), rtol=0, atol=0
    )


def test_length_knows_the_sign_of_its_column_alone(taste_world: Callable[..., World]) -> None:
    world = taste_world(shared=2.0, own=0.1)
    weights = length(world).believe(first_answers(world, 5)).weights
    slope = head(Answers.of_training(world), 1.0)[0]
    assert bool((weights[:, 1:] == 0).all())
    assert bool((weights[:, 0].sign() == slope.sign()).all())


def test_a_pair_shown_both_ways_round_is_one_pair(diverse: World) -> None:
    pairs = Pairs(torch.tensor([3, 7, 5]), torch.tensor([7, 3, NOBODY]))
    train = replace(
        diverse.train, pairs=pairs, people=torch.tensor([0, 1, 1]), outcomes=outcomes(torch.tensor([0, 0, 1])), size=2
    )
    answers = Answers.of_training(replace(diverse, train=train))
    assert len(answers.differences) == 2
    assert answers.pair[0] == answers.pair[1]
    assert answers.wins.tolist() in ([0, 1, 0.5], [1, 0, 0.5])
    shown = diverse.features[7] - diverse.features[3]
    torch.testing.assert_close(answers.differences[answers.pair[0]], shown)
    torch.testing.assert_close(answers.differences[answers.pair[2]], diverse.features[5])


def test_logistic_finds_the_maximum_with_ties_as_half_wins(diverse: World) -> None:
    answers, ridge = Answers.of_crowd(first_answers(diverse, 12)), 0.3
    weights = logistic(answers, ridge).requires_grad_(True)
    value = answers.log_likelihood(answers.utilities(weights)).sum() - ridge / 2 * weights.square().sum()
    value.backward()
    assert bool((answers.wins == 0.5).any())
    assert weights.grad is not None
    assert float(weights.grad.abs().max()) < 1e-6


def test_every_method_belongs_to_one_task() -> None:
    assert sorted(name for group in TOGETHER for name in group) == sorted(METHODS)
