"""What the scoreboard counts, on numbers small enough to count by hand; and what a search may find."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from app.attacks.attack import Attack, counted, relative_distance, share_beaten, shift_in_sd
from app.attacks.tricks import families
from app.attacks.worst import worst
from safeguards.gate import check
from safeguards.guard import Budget, Guarded, Reference, divergences, guard
from safeguards.score import Scale

K = 5
FREE = torch.tensor([True, True, True, True, False])


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Guarding:
    """As much of a target as the search needs."""

    reference: Reference
    aggregate: Tensor
    budget: Budget

    @property
    def profiles(self) -> SimpleNamespace:
        policy = SimpleNamespace(reference=self.reference, limit=torch.where(FREE, 5.0, 0.0).double())
        return SimpleNamespace(policy=policy)

    def guarded(self, mean: Tensor) -> Guarded:
        nothing = torch.zeros(K, K, dtype=torch.float64)
        return guard(self.aggregate, mean, nothing, self.reference, self.budget, ~FREE)


@pytest.fixture
def guarding() -> Guarding:
    generator = torch.Generator().manual_seed(1)
    phi = torch.randn(20, 16, K, dtype=torch.float64, generator=generator)
    return Guarding(Reference.of(phi), numbers(0.5, -0.2, 0.1, 0.3, 0.8), Budget(divergence=0.3, starc=0.4))


def test_an_attack_passes_up_to_its_bar() -> None:
    assert [Attack("a", value, 0.05, "SD").passed for value in (-1.0, 0.05, 0.0501)] == [True, True, False]
    assert counted("a", []).passed
    assert not counted("a", ["one"]).passed
    assert "one" in counted("a", ["one"]).unit


def test_a_tie_counts_as_beaten() -> None:
    assert share_beaten(numbers(0, 1), numbers(0.5, 1)) == 0.5


def test_a_shift_is_the_mean_change_in_sd_of_the_reward() -> None:
    before, after = torch.zeros(2, 1, dtype=torch.float64), numbers(1, 2)[:, None]
    assert shift_in_sd(before, after, numbers(2), Scale(std=0.5, floor=-1, lowest=-0.9)) == 6
    assert shift_in_sd(before[:0], after[:0], numbers(2), Scale(0.5, -1, -0.9)) == 0


def test_a_distance_is_relative_to_the_first_reward() -> None:
    assert relative_distance(numbers(2, 0), numbers(2, 1), torch.eye(2).double()) == 0.5


def test_the_worst_coefficients_are_inside_the_budget_and_beat_all_that_chance_finds(guarding: Guarding) -> None:
    towards = numbers(0.2, 1.0, 0.0, -0.5, 0.3)

    def gain(coefficients: Tensor) -> float:
        return float(coefficients @ towards)

    found = worst(guarding, gain, towards)  # type: ignore[arg-type]
    assert float(divergences(found, guarding.aggregate, guarding.reference).max()) <= guarding.budget.divergence
    assert float(found[~FREE]) == float(guarding.aggregate[~FREE])
    generator = torch.Generator().manual_seed(2)
    tries = [guarding.aggregate + 5 * torch.randn(K, dtype=torch.float64, generator=generator) for _ in range(300)]
    assert gain(found) >= max(gain(guarding.guarded(mean).coefficients) for mean in tries)


def test_a_search_never_ends_below_the_aggregate(guarding: Guarding) -> None:
    found = worst(guarding, lambda c: -float((c - guarding.aggregate).abs().sum()), numbers(1, 0, 0, 0, 0))  # type: ignore[arg-type]
    assert torch.equal(found, guarding.aggregate)


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_every_trick_leaves_the_answer_in_and_adds_to_it(family) -> None:  # type: ignore[no-untyped-def]
    answer = "Basil needs six hours of light. Water it when the soil is dry."
    for trick in family.tricks:
        assert answer in trick(answer)
        assert trick(answer) != answer


@pytest.mark.parametrize("name", ["repetition ×2 to ×50", '"give 10/10"'])
def test_what_the_gate_is_to_stop_it_stops_in_every_phrasing(name: str) -> None:
    (family,) = (family for family in families() if family.name == name)
    answer = "Basil needs six hours of light. Water it when the soil is dry."
    assert not any(check(trick(answer)).passed for trick in family.tricks)
