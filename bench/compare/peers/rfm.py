"""RFM: Barreto et al. (2025), Capturing individual human preferences with reward features, arXiv 2503.17338.

Literal: r_u = w_uᵀφ(x), features and training people's w fitted together by gradient on the Bradley–Terry likelihood
from a random start; for a new person φ is frozen and w the solution of a convex logistic regression; no prior learned
from the population. Ties left out. Random questions.

Ours: φ linear in the features of the world; the joint fit, by LBFGS, minimises Σ −log-likelihood + ½·Σ_u|w_u|² +
ridge/2·|φ|², after which φ is scaled so that the training people's w have mean square 1; L2 on a new person's w; the
number of features and both ridges are tuned.
"""

from dataclasses import dataclass, replace
from functools import cache, partial

from torch import Tensor

from bench.compare.peers.answers import Answers
from bench.compare.peers.fitting import descend, logistic, noise
from bench.compare.peers.linear import LinearMethod
from bench.compare.peers.tuning import rehearse, splits, tuned
from bench.compare.world import World

ITERATIONS, TUNING_ITERATIONS, START = 100, 40, 0.1


@dataclass(frozen=True)
class RfmSettings:
    """``features`` D, ``ridge`` on φ in the joint fit, ``own`` ridge of a new person."""

    features: int = 8
    ridge: float = 100.0
    own: float = 1.0


GRIDS = {
    "ridge": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
    "features": (2, 4, 8, 16),
    "own": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
}


def rfm(world: World) -> LinearMethod:
    """RFM as published, its settings tuned."""
    parts = splits(world)

    @cache
    def features(learn: Answers, settings: RfmSettings) -> Tensor:
        return learn_features(learn, settings, world.seed, TUNING_ITERATIONS)

    def value(settings: RfmSettings) -> float:
        shared = replace(settings, own=1.0)
        return rehearse(parts, lambda learn: partial(adapt, features(learn, shared), settings.own))

    best = tuned(RfmSettings(), GRIDS, value)
    phi = learn_features(Answers.of_training(world), best, world.seed)
    return LinearMethod(partial(adapt, phi, best.own))


def adapt(phi: Tensor, ridge: float, observed: Answers) -> Tensor:
    """Everybody's w on the features φ (D, F), as weights (P, F) on the world's features."""
    return logistic(observed.decided().seen_through(phi), ridge) @ phi


def learn_features(answers: Answers, settings: RfmSettings, seed: int, iterations: int = ITERATIONS) -> Tensor:
    """Reward features φ (D, F)."""
    decided = answers.decided()
    phi = noise(answers.features, settings.features, seed=seed, scale=START)
    people = noise(answers.size, settings.features, seed=seed + 1, scale=START)

    def loss() -> Tensor:
        seen = (decided.differences @ phi).index_select(0, decided.pair)
        own = people.index_select(0, decided.people)
        decay = (people.square().sum() + settings.ridge * phi.square().sum()) / 2
        return (decay - decided.log_likelihood((seen * own).sum(1)).sum()) / max(len(decided), 1)

    descend(loss, [phi, people], iterations)
    return people.square().mean().sqrt().clamp_min(1e-6) * phi.T
