"""Tuning a budget online: search for the best feasible one, trying only what is feasible with high probability.

A grid of budgets rises from one that is known to be safe. A budget is feasible when its mean loss (say, wrong-agreement
in points) is at most ``limit``; loss does not fall from one budget to the next, utility is anybody's. Losses and
utilities come as noisy values in a known range. After n trials of a budget its mean lies, by Hoeffding's inequality and
a union bound over the B budgets, both figures and all n at once, with probability ≥ 1 − δ inside

    mean ± range·√(log(4B·n(n + 1)/δ) / 2n)

*Optimistic feasible search*: a budget may be tried once its upper loss bound, or that of one j steps below plus j
times ``smoothness``, the most that loss rises in a step, is within the limit; of these the one with the highest upper
utility bound is tried. So with probability ≥ 1 − δ no infeasible budget ever is.

Source: constrained bandits with confidence bounds; Y. Sui et al. (2015), Safe Exploration for Optimization with
Gaussian Processes, of which this is the case without a process, by a Lipschitz step.
"""

import math
from dataclasses import dataclass, field

from keel.errors import InvalidArgument

SMALLEST, LARGEST = 1e-12, 1e12


@dataclass
class _Trials:
    """Running means of one budget."""

    count: int = 0
    loss: float = 0.0
    utility: float = 0.0

    def add(self, loss: float, utility: float) -> None:
        self.count += 1
        self.loss += (loss - self.loss) / self.count
        self.utility += (utility - self.utility) / self.count


@dataclass
class OnlineBudget:
    """A search over ``budgets``, rising, of which the first is known to be feasible.

    ``loss_range`` and ``utility_range`` are the widths of the ranges that single values lie in; ``delta`` the chance
    of ever trying an infeasible budget.
    """

    budgets: tuple[float, ...]
    limit: float
    smoothness: float
    loss_range: float
    utility_range: float
    delta: float = 0.05
    trials: list[_Trials] = field(init=False)

    def __post_init__(self) -> None:
        if not self.budgets or list(self.budgets) != sorted(set(self.budgets)):
            raise InvalidArgument(f"budgets {self.budgets} must be rising and at least one")
        _require_between("smoothness", self.smoothness, SMALLEST, LARGEST)
        _require_between("loss_range", self.loss_range, SMALLEST, LARGEST)
        _require_between("utility_range", self.utility_range, SMALLEST, LARGEST)
        _require_between("delta", self.delta, SMALLEST, 1.0)
        self.trials = [_Trials() for _ in self.budgets]

    def ask(self) -> float:
        """The budget to try next."""
        return self.budgets[max(self._allowed(), key=lambda place: self._bound(place, "utility"))]

    def tell(self, budget: float, loss: float, utility: float) -> None:
        """Record the result of a trial of ``budget``; raises InvalidArgument for one that is not on the grid."""
        if budget not in self.budgets:
            raise InvalidArgument(f"budget {budget} is not one of {self.budgets}")
        self.trials[self.budgets.index(budget)].add(loss, utility)

    @property
    def best(self) -> float:
        """The budget to ship: the highest lower bound of utility among those that may be tried."""
        return self.budgets[max(self._allowed(), key=lambda place: self._bound(place, "utility", sign=-1))]

    def _allowed(self) -> range:
        """Places that are feasible with high probability: the first, and each reached by a slack ≥ smoothness below.

        Loss does not fall along the grid, so an upper bound at a place holds for all below it.
        """
        reached = 0
        for place in range(len(self.budgets)):
            slack = self.limit - self._bound(place, "loss")
            if slack >= 0:
                steps = math.floor(slack / self.smoothness)
                reached = max(reached, min(place + steps, len(self.budgets) - 1))
        return range(reached + 1)

    def _bound(self, place: int, figure: str, sign: int = 1) -> float:
        """Upper (or, with sign −1, lower) confidence bound of a place's mean loss or utility."""
        trials = self.trials[place]
        if not trials.count:
            return sign * math.inf
        width = self.loss_range if figure == "loss" else self.utility_range
        n = trials.count
        spread = width * math.sqrt(math.log(4 * len(self.budgets) * n * (n + 1) / self.delta) / (2 * n))
        return float(getattr(trials, figure)) + sign * spread


def _require_between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidArgument(f"{name} = {value}; it must lie in [{low}, {high}]")
