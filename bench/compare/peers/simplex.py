"""Rewards that are mixtures of a few shared ones: what LoRe and PAL have in common."""

from collections.abc import Callable

import torch
from torch import Tensor

from bench.compare.peers.answers import Answers
from bench.compare.peers.fitting import descend, noise
from bench.compare.peers.tuning import Reader

ITERATIONS, TUNING_ITERATIONS = 100, 60
PERSON_STEPS, PERSON_RATE, MOMENTUM = 500, 0.1, (0.9, 0.999)
START = 0.1


def learn_mixture(
    answers: Answers,
    bases: int,
    ridge: float,
    seed: int,
    iterations: int,
    penalty: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Bases (B, F) by minimum of (Σ −log-likelihood of the decided answers + ridge/2·|bases|²)/N + ``penalty`` of them.

    Everybody's weights are a softmax of free logits; both start at random and are fitted together.
    """
    decided = answers.decided()
    heads = noise(bases, answers.features, seed=seed, scale=START)
    logits = noise(answers.size, bases, seed=seed + 1, scale=1.0)

    def loss() -> Tensor:
        seen, weights = decided.differences @ heads.T, logits.softmax(1)
        utilities = (seen.index_select(0, decided.pair) * weights.index_select(0, decided.people)).sum(1)
        summed = ridge / 2 * heads.square().sum() - decided.log_likelihood(utilities).sum()
        return summed / max(len(decided), 1) + (penalty(heads) if penalty else 0.0)

    descend(loss, [heads, logits], iterations)
    return heads


def mixture_weights(observed: Answers, heads: Tensor) -> Tensor:
    """Everybody's weights (P, B) on the simplex: gradient steps (Adam) on the mean −log-likelihood, from uniform."""
    seen = observed.decided().seen_through(heads)
    rows = seen.differences.index_select(0, seen.pair)
    share = torch.bincount(seen.people, minlength=seen.size).double()[seen.people].reciprocal()
    logits, first, second = torch.zeros(3, observed.size, len(heads), dtype=torch.float64).unbind(0)
    for step in range(1, 1 + (PERSON_STEPS if len(seen) else 0)):
        weights = logits.softmax(1)
        utilities = (rows * weights.index_select(0, seen.people)).sum(1)
        missed = share * (utilities.sigmoid() - seen.wins)
        slope = weights * torch.zeros_like(weights).index_add_(0, seen.people, missed[:, None] * rows)
        slope -= weights * slope.sum(1, keepdim=True)
        first.lerp_(slope, 1 - MOMENTUM[0])
        second.mul_(MOMENTUM[1]).addcmul_(slope, slope, value=1 - MOMENTUM[1])
        size = (second / (1 - MOMENTUM[1] ** step)).sqrt_().add_(1e-8)
        logits.addcdiv_(first, size, value=-PERSON_RATE / (1 - MOMENTUM[0] ** step))
    return logits.softmax(1)


def mixed(heads: Tensor) -> Reader:
    """Everybody's mixture of ``heads`` (B, F), as weights on the features."""
    return lambda observed: mixture_weights(observed, heads) @ heads
