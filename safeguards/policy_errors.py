"""A reward's mistakes, weighted by how much of a policy's mass they attract, beside the flat share of them.

A pair that a policy hardly ever visits costs nobody anything; one between its favourites costs often. A pair's weight
is the mass that the policy, optimised on the very reward, puts on its two responses among all candidates of the
prompt: softmax of the rewards at 1 nat, or best of n draws.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from elicitation.statistics import everybody_first, percentiles, person_weights
from safeguards.metrics import best_of_draws

BEST_OF = 16


@dataclass(frozen=True, eq=False)
class JudgedPairs:
    """N pairs of candidates that people chose between.

    ``rewards`` (N, n) of all candidates of each pair's prompt under the person's reward, nats; ``chosen`` and ``other``
    (N,) are places among them; ``wrong`` bool (N,): the reward predicted the other one before it learned the choice.
    ``person`` (N,) numbers them.
    """

    rewards: Tensor
    chosen: Tensor
    other: Tensor
    wrong: Tensor
    person: Tensor

    def __post_init__(self) -> None:
        n = len(self.rewards)
        if any(len(part) != n for part in (self.chosen, self.other, self.wrong, self.person)):
            raise InvalidInput(f"{n} rows of rewards need a chosen and another place, a verdict and a person each")


@dataclass(frozen=True)
class ErrorRate:
    """A share of mistakes under one weighting, with its 95 % interval by bootstrap over people."""

    weighting: str
    value: float
    low: float
    high: float


def error_rates(pairs: JudgedPairs, resamples: int, generator: torch.Generator) -> tuple[ErrorRate, ...]:
    """Flat, softmax-weighted and best-of-16-weighted; empty without pairs."""
    if not len(pairs.rewards):
        return ()
    weightings = {
        "flat": torch.ones(len(pairs.rewards), dtype=torch.float64),
        "softmax": mass(pairs, pairs.rewards.softmax(dim=1)),
        f"best of {BEST_OF}": mass(pairs, best_of_draws(pairs.rewards, BEST_OF)),
    }
    people, owner = pairs.person.unique(return_inverse=True)
    times = everybody_first(person_weights(generator, resamples, len(people)))[:, owner]
    return tuple(_rate(name, weights, pairs.wrong, times) for name, weights in weightings.items())


def mass(pairs: JudgedPairs, policy: Tensor) -> Tensor:
    """Probability that a policy (N, n) puts on the two responses of each pair (N,)."""
    rows = torch.arange(len(policy))
    return policy[rows, pairs.chosen] + policy[rows, pairs.other]


def _rate(name: str, weights: Tensor, wrong: Tensor, times: Tensor) -> ErrorRate:
    draws = (times @ (weights * wrong)) / (times @ weights)
    return ErrorRate(name, float(draws[0]), *percentiles(draws[1:]))
