"""A model of one's own for every person: logistic ridge from scratch on the heads that PReF learned.

The baseline "one model per user" of the literature (e.g. arXiv 2503.06358) on shared features. Literal: people share
nothing but the heads; zero prior mean; random questions. Ours: the heads and the ridge, which are tuned together as
PReF's are, so that the two differ in their questions alone.
"""

from bench.compare.peers.linear import LinearMethod
from bench.compare.peers.pref import own_weights, pref_tuned
from bench.compare.world import World


def ridge(world: World) -> LinearMethod:
    """The heads and the ridge of ``pref-tuned``."""
    fitted = pref_tuned(world)
    return LinearMethod(own_weights(fitted.heads, fitted.own))
