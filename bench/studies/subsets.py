"""``python -m bench.studies.subsets SUITE --data DIR``: Keel and the tuned aggregate head where few people teach.

SUITE is a suite of ``keel bench``. Of the training people of every split a random number between ``--least`` and
``--most`` stay; held-out people are the same as in the suite, and are asked at random. Differences are Keel's from the
tuned aggregate head, paired; 95 % intervals by bootstrap over people.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from bench.compare.counts import at_least
from bench.compare.intervals import Sample, interval, replicated
from bench.compare.measure import MEASURES
from bench.compare.method import Method
from bench.compare.peers.aggregate import aggregate
from bench.compare.report import samples_of
from bench.compare.simulate import play
from bench.compare.terminal import many
from bench.compare.world import Judgments, World
from bench.compare.worlds import llmfao, polis, polis_text, ukp
from bench.studies.few import fitted
from bench.studies.people import add_people, add_seeds, asked_seeds
from bench.studies.table import add_outputs, give, signed, signed_interval
from elicitation.choice import Outcomes

SUITES = {"polis": polis.worlds, "polis-text": polis_text.worlds, "ukp": ukp.worlds, "llmfao": llmfao.worlds}
STAGES = (0, 5, 10, 20)
LEAST, MOST = 15, 60
SEEDS = 2
COLUMNS = ("set", "people", "aggregate", "AUC at 0", "AUC at 10", *(f"NLL at {k}" for k in STAGES))
"""After the aggregate's AUC, differences from it."""

Curves = Mapping[str, Mapping[int, Any]]
"""Measure -> answers -> replicates."""


def some_teachers(world: World, least: int, most: int, generator: torch.Generator) -> World:
    """The world with ``least`` to ``most`` of its training people, or all of them if they are fewer."""
    train = world.train
    count = int(torch.randint(least, most + 1, (), generator=generator))
    kept = torch.zeros(train.size, dtype=torch.bool)
    kept[torch.randperm(train.size, generator=generator)[:count]] = True
    rows, number = kept[train.people], kept.long().cumsum(0) - 1
    said = train.outcomes
    outcomes = Outcomes(said.column[rows], said.towards[rows], said.strength[rows])
    people = number[train.people[rows]]
    return replace(world, train=Judgments(train.pairs[rows], people, train.prompts[rows], outcomes, int(kept.sum())))


def measure(some: Sequence[World], name: str) -> dict[str, Any]:
    """Both methods on every world, then on all of them together."""
    played = {world: (_played(world, aggregate), _played(world, fitted)) for world in some}
    sets = [_entry(f"{world.name}, seed {world.seed}", world.train.size, *both) for world, both in played.items()]
    every = [sample for base, _ in played.values() for sample in base]
    mine = [sample for _, own in played.values() for sample in own]
    sizes = [world.train.size for world in some]
    sets.append(_entry("all", round(sum(sizes) / len(sizes)), every, mine))
    return {
        "study": "subsets",
        "title": f"{name}: {many(len(some), 'set')} of {min(sizes)} to {max(sizes)} people",
        "sets": sets,
        "columns": COLUMNS,
        "rows": [_row(entry) for entry in sets],
    }


def _played(world: World, fit: Callable[[World], Method]) -> list[Sample]:
    return samples_of([play(world, fit(world), fit.__name__, STAGES)])


def _entry(name: str, people: int, base: Sequence[Sample], mine: Sequence[Sample]) -> dict[str, Any]:
    measures = {kind: MEASURES[kind] for kind in ("auc", "nll")}
    common, own = replicated(base, measures), replicated(mine, measures)
    found = {kind: {str(k): _difference(own[kind][k] - common[kind][0]) for k in STAGES} for kind in measures}
    return {"set": name, "people": people, "aggregate": round(float(common["auc"][0][0]), 4), **found}


def _difference(replicates: Any) -> dict[str, Any]:
    return {"value": round(float(replicates[0]), 4), "ci": [round(end, 4) for end in interval(replicates)]}


def _row(entry: Mapping[str, Any]) -> list[str]:
    aucs = [entry["auc"][str(k)] for k in (0, 10)]
    return [
        entry["set"],
        str(entry["people"]),
        f"{entry['aggregate']:.3f}",
        *(signed_interval(one["value"], one["ci"]) for one in aucs),
        *(signed(entry["nll"][str(k)]["value"]) for k in STAGES),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.subsets", description=__doc__)
    add_people(parser, SUITES)
    add_seeds(parser, SEEDS)
    parser.add_argument("--least", type=at_least(1), default=LEAST, help=f"fewest training people (default {LEAST})")
    parser.add_argument("--most", type=at_least(1), default=MOST, help=f"most training people (default {MOST})")
    add_outputs(parser)
    options = parser.parse_args(arguments)
    if options.least > options.most:
        parser.error(f"--least {options.least} is more than --most {options.most}")
    some = []
    for seed in asked_seeds(options):
        generator = torch.Generator().manual_seed(seed)
        every = SUITES[options.suite](seed, quick=False, data=options.data)
        some += [some_teachers(world, options.least, options.most, generator) for world in every]
    result = measure(some, options.suite)
    result["command"] = (
        f"python -m bench.studies.subsets {options.suite} --data DATA --least {options.least} --most {options.most} "
        f"--seeds {options.seeds} --first-seed {options.first_seed}"
    )
    give(result, options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
