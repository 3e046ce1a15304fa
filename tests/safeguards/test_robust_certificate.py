"""A candidate set's certificate and the agreement it leaves, for any distribution."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from elicitation.errors import InvalidInput
from safeguards.robust.certificate import certified, divergence, without_excess_agreement

LOGITS = st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6), st.booleans(), st.booleans()), min_size=2, max_size=8)
BUDGET = st.floats(0.001, 3)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def drawn(rows: list[tuple[float, float, bool, bool]]) -> tuple[Tensor, Tensor, Tensor]:
    """A distribution that may hold zeros, the aggregate's logarithm, and who agrees."""
    own, common, agrees, gone = zip(*rows, strict=True)
    gone = (*gone[:-1], False)
    chances = torch.where(torch.tensor(gone), -torch.inf, tensor(*own)).softmax(0)
    return chances, tensor(*common).log_softmax(0), torch.tensor(agrees)


@given(LOGITS, BUDGET)
def test_what_is_certified_is_within_the_budget_and_as_personal_as_it_can_be(
    rows: list[tuple[float, float, bool, bool]], budget: float
) -> None:
    chances, common, _ = drawn(rows)
    served, alpha = certified(chances, common, budget)
    assert float(served.sum()) == pytest.approx(1)
    assert divergence(served, common) <= budget
    assert 0 <= alpha <= 1
    if alpha < 1:
        further = torch.lerp(common.exp(), chances, min(1.0, alpha * (1 + 1e-6) + 1e-9))
        assert divergence(further, common) > budget - 1e-9


@given(LOGITS, BUDGET)
def test_certifying_twice_changes_nothing(rows: list[tuple[float, float, bool, bool]], budget: float) -> None:
    chances, common, _ = drawn(rows)
    served, _ = certified(chances, common, budget)
    again, alpha = certified(served, common, budget)
    assert alpha == 1
    assert torch.equal(again, served)


@given(LOGITS)
def test_the_aggregate_itself_is_within_any_budget(rows: list[tuple[float, float, bool, bool]]) -> None:
    _, common, _ = drawn(rows)
    served, alpha = certified(common.exp(), common, 1e-9)
    assert alpha == 1
    torch.testing.assert_close(served, common.exp())


@given(LOGITS, st.lists(BUDGET, min_size=2, max_size=2))
def test_a_larger_budget_never_leaves_less_of_the_person(
    rows: list[tuple[float, float, bool, bool]], budgets: list[float]
) -> None:
    chances, common, _ = drawn(rows)
    small, large = (certified(chances, common, budget)[1] for budget in sorted(budgets))
    assert small <= large


@given(LOGITS)
def test_agreeing_candidates_get_no_more_than_the_aggregate_gives_them(
    rows: list[tuple[float, float, bool, bool]],
) -> None:
    chances, common, agrees = drawn(rows)
    left = without_excess_agreement(chances, common, agrees)
    assert float(left.sum()) == pytest.approx(1)
    assert float(left[agrees].sum()) <= float(common[agrees].exp().sum()) + 1e-12
    if float(chances[agrees].sum()) <= float(common[agrees].exp().sum()):
        assert torch.equal(left, chances)


@pytest.mark.slow
@given(LOGITS)
def test_it_is_the_exponential_tilt_by_the_excess_of_log_odds(rows: list[tuple[float, float, bool, bool]]) -> None:
    chances, common, agrees = drawn(rows)
    own, base = float(chances[agrees].sum()), float(common[agrees].exp().sum())
    assume(1e-9 < own < 1 - 1e-9 and 1e-9 < base < 1 - 1e-9)
    eta = max(0.0, math.log(own / (1 - own)) - math.log(base / (1 - base)))
    tilted = chances * torch.exp(-eta * agrees.double())
    torch.testing.assert_close(without_excess_agreement(chances, common, agrees), tilted / tilted.sum())


@settings(max_examples=15)
@given(LOGITS)
def test_no_distribution_with_so_little_agreement_is_nearer(rows: list[tuple[float, float, bool, bool]]) -> None:
    """Least KL from p subject to the bound on agreement, by a general optimiser."""
    chances, common, agrees = drawn([(own, base, agrees, False) for own, base, agrees, _ in rows])
    target = float(common[agrees].exp().sum())
    found = without_excess_agreement(chances, common, agrees)
    p = chances.numpy()

    def distance(q: torch.Tensor) -> float:
        return divergence(torch.as_tensor(q).clamp_min(1e-300), chances.log())

    constraints = [
        {"type": "eq", "fun": lambda q: q.sum() - 1},
        {"type": "ineq", "fun": lambda q: target - q[agrees.numpy()].sum()},
    ]
    other = minimize(distance, common.exp().numpy(), bounds=[(1e-12, 1)] * len(p), constraints=constraints)
    assert distance(found) <= other.fun + 1e-6 or not other.success


@pytest.mark.slow
@given(LOGITS, BUDGET)
def test_mixing_keeps_agreement_at_bay(rows: list[tuple[float, float, bool, bool]], budget: float) -> None:
    chances, common, agrees = drawn(rows)
    served, _ = certified(without_excess_agreement(chances, common, agrees), common, budget)
    assert float(served[agrees].sum()) <= float(common[agrees].exp().sum()) + 1e-12


def test_who_only_ever_agrees_is_given_the_aggregates_others() -> None:
    left = without_excess_agreement(tensor(1, 0, 0), tensor(0.5, 0.4, 0.1).log(), torch.tensor([True, False, False]))
    torch.testing.assert_close(left, tensor(0.5, 0.4, 0.1))


def test_agreement_is_one_value_per_candidate() -> None:
    with pytest.raises(InvalidInput, match="agreement"):
        without_excess_agreement(tensor(0.5, 0.5), tensor(0.5, 0.5).log(), torch.tensor([True]))
