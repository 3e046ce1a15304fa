"""Simulated people: tastes on traits, choices they mostly repeat."""

import math

import pytest
import torch

from elicitation.choice import Choice
from elicitation.errors import InvalidInput
from elicitation.simulate import LAPSE, REPEAT, TraitPerson, draw_people, repeat_rate

TRAITS = ("brevity", "formality", "warmth", "examples", "caution", "imagery")


@pytest.fixture
def pool(generator: torch.Generator) -> list[dict[str, float]]:
    """300 pairs of differences between trait levels −1, 0 and 1."""
    levels = torch.randint(-1, 2, (2, 300, len(TRAITS)), generator=generator)
    return [dict(zip(TRAITS, row, strict=True)) for row in (levels[0] - levels[1]).double().tolist()]


@pytest.fixture
def people(pool: list[dict[str, float]], generator: torch.Generator) -> tuple[TraitPerson, ...]:
    return draw_people(TRAITS, 12, pool, generator)


def test_people_repeat_their_choices_about_85_percent_of_the_time(
    people: tuple[TraitPerson, ...], pool: list[dict[str, float]], generator: torch.Generator
) -> None:
    rates = []
    for person in people:
        judged = [pair for pair in pool if person.utility(pair) != 0]
        repeats = [person.choose(pair, generator) == person.choose(pair, generator) for pair in judged]
        rates.append(sum(repeats) / len(repeats))
    assert sum(rates) / len(rates) == pytest.approx(REPEAT, abs=0.015)
    assert max(abs(rate - REPEAT) for rate in rates) < 0.08


def test_the_calibration_is_exact_in_expectation(people: tuple[TraitPerson, ...], pool: list[dict[str, float]]) -> None:
    for person in people:
        utilities = torch.tensor([person.utility(pair) for pair in pool], dtype=torch.float64)
        assert repeat_rate(utilities[utilities != 0]) == pytest.approx(REPEAT, abs=1e-6)


def test_people_weigh_two_to_four_recorded_traits_of_either_sign(people: tuple[TraitPerson, ...]) -> None:
    assert {len(person.weights) for person in people} == {2, 3, 4}
    assert all(set(person.weights) <= set(TRAITS) for person in people)
    signs = {math.copysign(1, weight) for person in people for weight in person.weights.values()}
    assert signs == {-1.0, 1.0}


def test_people_differ_and_follow_the_seed(pool: list[dict[str, float]]) -> None:
    first, again = (draw_people(TRAITS, 5, pool, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first == again
    assert len({tuple(person.weights.items()) for person in first}) == 5


def test_utility_is_the_weighted_sum_of_the_traits_that_count() -> None:
    person = TraitPerson({"brevity": 2.0, "warmth": -1.0})
    assert person.utility({"brevity": 1, "warmth": 2, "caution": 5}) == 0
    assert person.utility({"brevity": 1}) == 2


@pytest.mark.parametrize("weight", [-3.0, 0.0, 1.0])
def test_choices_are_logistic_with_a_lapse(weight: float, generator: torch.Generator) -> None:
    person = TraitPerson({"brevity": weight})
    lefts = sum(person.choose({"brevity": 1.0}, generator) == Choice.LEFT for _ in range(8000)) / 8000
    assert lefts == pytest.approx((1 - LAPSE) / (1 + math.exp(-weight)) + LAPSE / 2, abs=0.02)


def test_unusable_traits_and_pools_are_refused(generator: torch.Generator) -> None:
    with pytest.raises(InvalidInput, match="1 traits; a simulated person weighs at least 2"):
        draw_people(("brevity",), 1, [{"brevity": 1.0}], generator)
    with pytest.raises(InvalidInput, match="2 pairs hardly differ in brevity, warmth"):
        draw_people(("brevity", "warmth"), 1, [{"brevity": 0.0}, {"warmth": 0.0}], generator)
