"""LoRe: personalizing LLMs via low-rank reward modeling (2025), arXiv 2504.14439.

Literal, from the paper and the released code: r_u = w_uᵀ(B·x) with w_u on the simplex by a softmax; bases and people
fitted together on the log-likelihood plus α·mean(1 − cos(basis, reference)); ties left out; a new person by 500 steps
of Adam at rate 0.1 on their mean log-likelihood, without a prior. Random questions.

Ours: the reference direction is the tuned aggregate head, in place of the language model's own reward; the joint fit
is by LBFGS, α constant, with an L2 ridge on the bases, 0 in its grid; people start at uniform weights, not at random
ones; the number of bases, α and the ridge are tuned.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cosine_similarity

from bench.compare.peers.aggregate import best_ridge, head
from bench.compare.peers.answers import Answers
from bench.compare.peers.linear import LinearMethod
from bench.compare.peers.simplex import ITERATIONS, TUNING_ITERATIONS, learn_mixture, mixed
from bench.compare.peers.tuning import Reader, rehearse, splits, tuned
from bench.compare.world import World


@dataclass(frozen=True)
class LoreSettings:
    """Number of ``bases`` B, α as ``pull``, weight decay ``ridge``."""

    bases: int = 10
    pull: float = 0.01
    ridge: float = 100.0


GRIDS = {
    "ridge": (0.0, 1.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    "bases": (2, 5, 10, 20),
    "pull": (0.01, 0.1, 0.3),
}


def lore(world: World) -> LinearMethod:
    """LoRe as published, its bases, their pull and decay tuned."""
    answers, parts = Answers.of_training(world), splits(world)
    ridge = best_ridge(world)
    references = {some: head(some, ridge) for some in (answers, *(part.learn for part in parts))}

    def learn(some: Answers, settings: LoreSettings, iterations: int = TUNING_ITERATIONS) -> Reader:
        return mixed(learn_bases(some, references[some], settings, world.seed, iterations))

    best = tuned(LoreSettings(), GRIDS, lambda settings: rehearse(parts, lambda some: learn(some, settings)))
    return LinearMethod(learn(answers, best, ITERATIONS))


def learn_bases(
    answers: Answers, reference: Tensor, settings: LoreSettings, seed: int, iterations: int = ITERATIONS
) -> Tensor:
    """Bases (B, F) pulled towards the direction of ``reference`` (F,)."""

    def away(heads: Tensor) -> Tensor:
        return settings.pull * (1 - cosine_similarity(heads, reference, dim=1)).mean()

    return learn_mixture(answers, settings.bases, settings.ridge, seed, iterations, away)
