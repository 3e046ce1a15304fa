"""The online search stays feasible, and finds nearly the best of what is."""

import random

import pytest

from keel.errors import InvalidArgument
from keel.online_budget import OnlineBudget

BUDGETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
LOSS = {0.05: 0.0, 0.1: 0.02, 0.2: 0.05, 0.5: 0.3, 1.0: 0.65, 2.0: 0.9}
UTILITY = {0.05: 0.2, 0.1: 0.3, 0.2: 0.4, 0.5: 0.6, 1.0: 0.8, 2.0: 0.95}
LIMIT = 0.6
FEASIBLE = {budget for budget, loss in LOSS.items() if loss <= LIMIT}


def search(delta: float = 0.1, smoothness: float = 0.35) -> OnlineBudget:
    return OnlineBudget(BUDGETS, LIMIT, smoothness, loss_range=1, utility_range=1, delta=delta)


def play(seed: int, rounds: int) -> tuple[OnlineBudget, set[float]]:
    """Bernoulli losses and utilities; returns the search and everything it tried."""
    draw = random.Random(seed)
    running, tried = search(), set()
    for _ in range(rounds):
        budget = running.ask()
        loss, utility = draw.random(), draw.random()
        running.tell(budget, float(loss < LOSS[budget]), float(utility < UTILITY[budget]))
        tried.add(budget)
    return running, tried


def test_it_begins_with_the_budget_that_is_known_to_be_safe() -> None:
    assert search().ask() == BUDGETS[0]


def test_it_leaves_the_feasible_set_in_at_most_a_share_delta_of_runs() -> None:
    assert sum(bool(play(seed, 1500)[1] - FEASIBLE) for seed in range(20)) <= 2


def test_it_finds_the_best_feasible_budget() -> None:
    found = [play(seed, 3000)[0].best for seed in range(5)]
    assert found == [0.5] * 5
    assert max(FEASIBLE, key=UTILITY.__getitem__) == 0.5


def test_it_does_not_climb_before_the_slack_is_proven() -> None:
    running = search()
    running.tell(0.05, 0.1, 0.2)
    assert running.ask() == 0.05


def test_a_proven_slack_opens_as_many_budgets_as_it_has_room_for() -> None:
    running = search(smoothness=0.1)
    for _ in range(200_000):
        running.tell(0.05, 0.25, 0.2)
    running.tell(0.1, 0.3, 1.0)
    assert running.ask() in (0.2, 0.5)
    assert 1.0 not in {running.budgets[place] for place in running._allowed()}


def test_more_trials_never_widen_a_bound() -> None:
    running, widths = search(), []
    for _ in range(50):
        running.tell(0.05, 0.5, 0.5)
        widths.append(running._bound(0, "loss") - running._bound(0, "loss", sign=-1))
    assert widths[-1] < widths[0]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("budgets", [(), (0.2, 0.1), (0.1, 0.1)])
def test_a_grid_that_does_not_rise_is_refused(budgets: tuple[float, ...]) -> None:
    with pytest.raises(InvalidArgument, match="rising"):
        OnlineBudget(budgets, LIMIT, 0.1, 1, 1)


def test_a_budget_off_the_grid_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not one of"):
        search().tell(0.3, 0, 0)
