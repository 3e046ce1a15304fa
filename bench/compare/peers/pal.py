"""PAL: Chen, Chen, Rege and Vinayak (2024), PAL: pluralistic alignment framework, arXiv 2406.08469.

Literal: a person is a convex combination, by a softmax, of P prototypes shared by all; here as in model B with an inner
product (the released code's "angle") in place of a distance, so that r_u = Σ_p w_up·θ_pᵀx; prototypes and people fitted
together on decided judgments; of a new person the weights alone are learned, by gradient, without a prior. Random
questions.

Ours: the maps f and g are linear, so that each prototype is one head on the features (a distance would need the two
items, of which peers see the difference alone); inner products are not normalised; weight decay as an L2 ridge on
the prototypes; the fit by LBFGS; people start at uniform weights; P and the ridge are tuned.
"""

from dataclasses import dataclass

from bench.compare.peers.answers import Answers
from bench.compare.peers.linear import LinearMethod
from bench.compare.peers.simplex import ITERATIONS, TUNING_ITERATIONS, learn_mixture, mixed
from bench.compare.peers.tuning import Reader, rehearse, splits, tuned
from bench.compare.world import World


@dataclass(frozen=True)
class PalSettings:
    """Number of ``prototypes`` P, weight decay ``ridge``."""

    prototypes: int = 5
    ridge: float = 100.0


GRIDS = {"ridge": (0.1, 1.0, 10.0, 30.0, 100.0, 300.0, 1000.0), "prototypes": (2, 3, 5, 10, 20)}


def pal(world: World) -> LinearMethod:
    """PAL in its linear form, its prototypes and their decay tuned."""

    def learn(answers: Answers, settings: PalSettings, iterations: int = TUNING_ITERATIONS) -> Reader:
        return mixed(learn_mixture(answers, settings.prototypes, settings.ridge, world.seed, iterations))

    parts = splits(world)
    best = tuned(PalSettings(), GRIDS, lambda settings: rehearse(parts, lambda answers: learn(answers, settings)))
    return LinearMethod(learn(Answers.of_training(world), best, ITERATIONS))
