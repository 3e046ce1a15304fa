"""The best of n candidates against every draw of them, and the worst tenth of people against a loop over people."""

import itertools
import math

import numpy as np
import pytest
import torch
import worlds as small

from bench.compare.intervals import (
    OWN_PEOPLE,
    OWN_TARGETS,
    TENTH,
    Sample,
    draws,
    enough_targets,
    interval,
    lowest_mean,
    worst_tenth,
)
from bench.compare.measure import MEASURES, SIZES, Array, tally
from bench.compare.method import FeatureBelief
from bench.compare.policy import best_of, chosen, worth_of
from bench.compare.simulate import play
from bench.compare.world import NOBODY, HeldOut, Menus, Pairs, World
from bench.compare.worlds import bank


def by_draws(predicted: Array, worth: Array, n: int) -> float:
    """The mean over every draw of n candidates, and over those that are predicted highest in it."""
    values = []
    for drawn in itertools.combinations(range(len(predicted)), n):
        highest = max(predicted[list(drawn)])
        values.append(np.mean([worth[row] for row in drawn if predicted[row] == highest]))
    return float(np.mean(values))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("digits", [0, 1, 6])
def test_the_best_of_n_is_the_mean_over_every_draw(n: int, digits: int) -> None:
    rng = np.random.default_rng(n)
    predicted, worth = rng.random(7).round(digits), rng.normal(size=7)
    assert best_of(predicted, worth, n) == pytest.approx(by_draws(predicted, worth, n), abs=1e-12)


def test_one_candidate_is_worth_the_mean_and_all_of_them_the_highest_predicted() -> None:
    predicted, worth = np.array([0.1, 0.7, 0.3, 0.5]), np.array([5.0, -2.0, 1.0, 3.0])
    assert best_of(predicted, worth, 1) == pytest.approx(worth.mean())
    assert best_of(predicted, worth, 4) == -2.0
    assert math.isnan(best_of(predicted, worth, 5))


def test_equal_predictions_choose_at_random() -> None:
    worth = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    assert best_of(np.full(5, 0.5), worth, 3) == pytest.approx(0.6)


@pytest.fixture
def voters() -> World:
    """Held-out people who vote on eleven single items."""
    base = small.world(people=3)
    generator = torch.Generator().manual_seed(2)

    def votes(person: HeldOut) -> HeldOut:
        left = torch.randperm(small.ITEMS, generator=generator)[:11]
        labels = torch.rand(11, generator=generator) < 0.5
        return HeldOut(
            person.pool,
            person.prompts,
            person.outcomes,
            Pairs(left, torch.full_like(left, NOBODY)),
            labels,
            person.person,
        )

    return World(
        "votes", 0, base.features, base.train, tuple(votes(person) for person in base.people), base.served, None
    )


def test_of_votes_the_figure_is_how_often_the_chosen_is_agreed_with(voters: World) -> None:
    trajectory = play(voters, small.keel(voters), "keel")
    for number, person in enumerate(voters.people):
        own = trajectory.predictions[5][trajectory.owners == number]
        labels = person.labels.double().numpy()
        expected = [by_draws(own, labels, n) for n in SIZES]
        assert trajectory.best[5][number] == pytest.approx(expected, abs=1e-12)


def test_compared_responses_have_no_candidates_beyond_the_pair() -> None:
    world = small.world()
    trajectory = play(world, small.keel(world), "keel")
    assert trajectory.best[0].shape == (len(world.people), len(SIZES))
    assert np.isnan(trajectory.best[0]).all()


def test_of_simulated_people_a_linear_reward_chooses_within_each_prompt() -> None:
    world = small.world(people=1)
    items, prompts = torch.arange(16), torch.arange(16) % 3
    generator = torch.Generator().manual_seed(5)
    worth = torch.randn(16, generator=generator, dtype=torch.float64)
    person = world.people[0]
    with_menus = HeldOut(
        person.pool, person.prompts, person.outcomes, person.targets, person.labels, 0, Menus(items, prompts, worth)
    )
    world = World("menus", 0, world.features, world.train, (with_menus,), world.served, None)
    weights = torch.randn(1, small.FEATURES, generator=generator, dtype=torch.float64)
    linear = small.Weights(torch.zeros(small.FEATURES, dtype=torch.float64), weights, unsure=False)
    belief = FeatureBelief(linear, world, world.differences)
    reward = (world.features[items] @ weights[0]).numpy()
    found = chosen(world.people, belief, np.full(len(person.labels), 0.5))
    groups = [np.flatnonzero(prompts.numpy() == prompt) for prompt in range(3)]
    for column, n in enumerate(SIZES[:2]):
        expected = np.mean([by_draws(reward[rows], worth.numpy()[rows], n) for rows in groups])
        assert found[0, column] == pytest.approx(expected, abs=1e-12)
    assert math.isnan(found[0, 2])


def test_worth_is_in_standard_deviations_within_prompts() -> None:
    prompts = torch.tensor([4, 4, 9, 9, 9])
    worth = worth_of(torch.tensor([1.0, 3.0, 100.0, 101.0, 102.0]).double(), prompts)
    assert float(worth[:2].mean()) == float(worth[2:].mean()) == 0
    assert float(worth.square().mean()) == pytest.approx(1.0)
    assert float(worth[1] / worth[4]) == pytest.approx(1.0)
    assert worth_of(torch.ones(5).double(), prompts).tolist() == [0.0] * 5


def test_simulated_people_choose_among_the_answers_to_target_prompts() -> None:
    (world,) = bank.worlds(0, True, None)
    for person in world.people[:3]:
        assert person.menus is not None
        assert person.menus.prompts.bincount().max() == 8
        assert len(person.menus.prompts.unique()) == 40
        worth = dict(zip(person.menus.items.tolist(), person.menus.worth.tolist(), strict=True))
        for left, right, label in zip(
            person.targets.left.tolist(), person.targets.right.tolist(), person.labels.tolist(), strict=True
        ):
            assert (worth[left] > worth[right]) == label
            assert worth[left] != worth[right]


def test_a_person_without_candidates_does_not_count_in_the_best_of_n() -> None:
    best = np.array([[0.5, 0.2, np.nan], [0.7, 0.4, np.nan], [np.nan] * 3])
    found = tally(np.full(3, 0.5), np.array([True, False, True]), np.arange(3), 3, best)
    weights = np.array([[1.0, 1, 1], [3, 1, 5]])
    assert MEASURES["best_of_4"](found, weights) == pytest.approx([0.3, 0.25])
    assert np.isnan(MEASURES["best_of_8"](found, weights)).all()
    assert MEASURES["best_of_2"](found.of(np.array([1, 2])), np.ones((1, 2))) == pytest.approx(0.7)


@pytest.mark.parametrize("people", [10, 13, 40])
def test_the_worst_tenth_of_a_draw_is_the_mean_of_its_lowest_people(people: int) -> None:
    rng = np.random.default_rng(people)
    values = rng.random(people).round(1)
    weights = rng.multinomial(people, np.full(people, 1 / people), 20).astype(float)
    for row, found in zip(weights, lowest_mean(values, weights), strict=True):
        # A tenth of the people in units of a tenth of a person.
        drawn = np.sort(np.repeat(values, (10 * row).astype(int)))[:people]
        assert found == pytest.approx(drawn.mean())


def seeds(right: Array, targets: int) -> list[Sample]:
    """People (P,) who are predicted rightly in a share ``right`` (seeds, P) of their targets."""
    samples = []
    for seed, shares in enumerate(right):
        hits = np.arange(targets) < np.round(shares * targets)[:, None]
        predictions = np.where(hits, 0.8, 0.2).ravel()
        owners = np.repeat(np.arange(len(shares)), targets)
        made = tally(predictions, np.ones(len(predictions), dtype=bool), owners, len(shares))
        samples.append(Sample("a", seed, np.arange(len(shares)) + 100, {0: made}))
    return samples


def test_a_person_is_judged_by_all_seeds_and_every_draw_chooses_its_worst() -> None:
    right = np.random.default_rng(0).integers(0, 6, (3, 30)) / 5
    samples = seeds(right, 5)
    found = worst_tenth(samples, 40)[0]
    own = right.mean(0)
    _, weights = draws(samples, 40)["a"]
    assert found[0] == pytest.approx(np.sort(own)[:3].mean())
    for row, value in zip(weights, found, strict=True):
        assert value == pytest.approx(np.sort(np.repeat(own, row.astype(int)))[:3].mean())
    assert enough_targets(samples) == 30


def test_people_with_few_targets_and_few_people_have_no_worst_tenth() -> None:
    right = np.full((2, 30), 0.5)
    assert np.isnan(worst_tenth(seeds(right, OWN_TARGETS // 2 - 1), 5)[0]).all()
    assert enough_targets(seeds(right, OWN_TARGETS // 2 - 1)) == 0
    few = seeds(right[:, : OWN_PEOPLE - 1], OWN_TARGETS)
    assert np.isnan(worst_tenth(few, 5)[0]).all()
    assert enough_targets(few) == 0


def test_intervals_of_the_worst_tenth_cover_what_a_large_crowd_has() -> None:
    """Own accuracies are uniform between 0 and 1, so that the worst tenth of everybody has TENTH / 2."""
    rng = np.random.default_rng(3)
    covered, rounds = 0, 100
    for _ in range(rounds):
        low, high = interval(worst_tenth(seeds(rng.random((1, 200)), 100), 200)[0])
        covered += low <= TENTH / 2 <= high
    assert 0.85 <= covered / rounds <= 0.99
