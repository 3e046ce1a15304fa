"""One reward for everybody: a Bradley–Terry head on the features, and the answer that the longer text is the better.

Source: Bradley and Terry (1952); as a reward model, Ouyang et al. (2022), eq. 1, without its sharing out of prompts.
Literal: logistic loss on decided judgments. Ours: the ridge, which is tuned. Random questions.
"""

from functools import lru_cache

import torch
from torch import Tensor

from bench.compare.peers.answers import Answers
from bench.compare.peers.fitting import descend
from bench.compare.peers.linear import LinearMethod
from bench.compare.peers.tuning import rehearse, splits
from bench.compare.world import World

RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)
SLIGHT = 1e-3
"""Ridge of the one slope of ``length``, so that it exists."""
ITERATIONS = 200


def aggregate(world: World) -> LinearMethod:
    """The same head whatever a person answers."""
    return everybody(head(Answers.of_training(world), best_ridge(world)))


def length(world: World) -> LinearMethod:
    """The feature that counts length alone, with a fitted slope; where there is none, always ½."""
    weights = torch.zeros(world.features.shape[1], dtype=torch.float64)
    if world.length is not None:
        only = torch.eye(len(weights), dtype=torch.float64)[[world.length]]
        weights[world.length] = head(Answers.of_training(world).seen_through(only), SLIGHT)[0]
    return everybody(weights)


def everybody(weights: Tensor) -> LinearMethod:
    """The method in which all people have ``weights`` (F,)."""
    return LinearMethod(lambda observed: weights.expand(observed.size, -1))


@lru_cache(maxsize=1)
def best_ridge(world: World) -> float:
    """The ridge under which people left out are predicted best; kept for the world last asked for, as LoRe needs it."""
    parts = splits(world)
    return max(RIDGES, key=lambda ridge: rehearse(parts, lambda learn: everybody(head(learn, ridge)).read))


def head(answers: Answers, ridge: float) -> Tensor:
    """Weights (F,): minimum of Σ −log-likelihood of the decided answers + ridge/2·|w|²."""
    decided = answers.decided()
    weights = torch.zeros(answers.features, dtype=torch.float64)

    def loss() -> Tensor:
        utilities = (decided.differences @ weights).index_select(0, decided.pair)
        return (ridge / 2 * weights.square().sum() - decided.log_likelihood(utilities).sum()) / max(len(decided), 1)

    descend(loss, [weights], ITERATIONS)
    return weights
