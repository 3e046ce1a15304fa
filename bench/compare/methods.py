"""Every method by name: how it is learned from a world's training people."""

from collections.abc import Mapping
from functools import partial

from bench.compare.judges.opening import JudgeName
from bench.compare.keel import keel
from bench.compare.method import Recipe
from bench.compare.peers.aggregate import aggregate, length
from bench.compare.peers.gp import gp_linear_eubo, gp_rbf_bald
from bench.compare.peers.in_context import in_context
from bench.compare.peers.lore import lore
from bench.compare.peers.pal import pal
from bench.compare.peers.persona import persona
from bench.compare.peers.pref import pref, pref_published, pref_tuned
from bench.compare.peers.rfm import rfm
from bench.compare.peers.ridge import ridge
from bench.compare.peers.vpl import vpl
from elicitation.acquisition import Rule

SHIPPED = Rule.IOPT
"""The rule by which the service asks."""
BY_RULE: Mapping[str, Recipe] = {
    f"keel-{rule}": partial(keel, rule=rule) for rule in (Rule.RANDOM, Rule.DOPT, Rule.BALD, Rule.IOPT, Rule.EPIG)
}
PEERS: Mapping[str, Recipe] = {
    "aggregate": aggregate,
    "length": length,
    "ridge": ridge,
    "pref": pref,
    "pref-published": pref_published,
    "pref-tuned": pref_tuned,
    "lore": lore,
    "rfm": rfm,
    "pal": pal,
    "vpl": vpl,
    "gp-linear-eubo": gp_linear_eubo,
    "gp-rbf-bald": gp_rbf_bald,
}
METHODS: Mapping[str, Recipe] = {
    **PEERS,
    **BY_RULE,
    "keel": BY_RULE[f"keel-{SHIPPED}"],
    "keel-shuffled": partial(keel, rule=SHIPPED, shuffled=True),
}
SLOW = frozenset({"gp-linear-eubo", "gp-rbf-bald", "keel-epig", "keel-shuffled"})
"""Methods that play a subsample."""
TOGETHER = (frozenset(BY_RULE) | {"keel"}, frozenset({"keel-shuffled"}), frozenset(PEERS))
"""Methods that share what is learned from a world; each of these groups is a task of its own."""


def judged(judge: JudgeName) -> Mapping[str, Recipe]:
    """The methods that ask a language model; all of them are slow."""
    return {"in-context": partial(in_context, judge=judge), "persona": partial(persona, judge=judge)}
