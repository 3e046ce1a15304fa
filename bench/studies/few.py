"""``python -m bench.studies.few --data FILE``: which step of Keel's fit costs what, on few people and few prompts.

FILE holds comparisons, as ``keel bench pairs`` reads it. Every variant of STEPS takes one step out of Keel's fit, or
puts the aggregate head in its place. All of them ask held-out people the same random questions. Differences are from
the tuned aggregate head, paired, with 95 % intervals by bootstrap over people.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from bench.compare.intervals import Sample, interval, replicated
from bench.compare.keel import Keel, given_heads, judged_by
from bench.compare.measure import MEASURES
from bench.compare.method import Method, Recipe
from bench.compare.peers.aggregate import aggregate, best_ridge, head, length
from bench.compare.peers.answers import Answers
from bench.compare.report import samples_of
from bench.compare.simulate import Trajectory, play
from bench.compare.world import World
from bench.compare.worlds.pairs import worlds
from bench.studies.table import add_outputs, give
from elicitation.acquisition import Rule
from elicitation.population import Component, Population
from reward_bases.train.model.learn import Learned, LearnSettings, learn
from reward_bases.train.validate.choose import choose_settings

STAGES = (0, 5, 10)
SEEDS = 6
BASE = "aggregate"
COLUMNS = ("step", "AUC at 0 / 5 / 10", "AUC at 0", "NLL at 0", "AUC at 10", "NLL at 10")
"""After the first two, differences from BASE."""
AS_SHIPPED = LearnSettings()
NO_TASTES = LearnSettings(learned=0, covariance_scale=0.01)
ALONE = frozenset({"learned", "ridge", "components", "consistency", "covariance_scale"})
"""Settings that stay where only the aggregate is chosen."""


@lru_cache(maxsize=4)
def learned(world: World, start: LearnSettings, given: frozenset[str] = frozenset()) -> Learned:
    """Keel's fit from ``start``, with the settings ``given`` left as they are."""
    judged, fixed = judged_by(world, shuffled=False), given_heads(world)
    settings = choose_settings(judged, fixed, replace(start, seed=world.seed), not world.by_heart, given)
    return learn(judged, fixed, settings)


def fitted(world: World, start: LearnSettings = AS_SHIPPED, given: frozenset[str] = frozenset()) -> Method:
    """Keel by random questions."""
    return random_questions(learned(world, start, given))


def centred(world: World, given: frozenset[str] = frozenset()) -> Method:
    """Keel's heads and the spread of its people, around the tuned aggregate head in place of λ̄."""
    found = learned(world, AS_SHIPPED, given)
    tuned = head(Answers.of_training(world), best_ridge(world))
    one, none, shift = torch.eye(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64), found.population.mean
    parts = [
        Component(part.weight, torch.cat([one[0], part.mean - shift]), torch.block_diag(none, part.covariance))
        for part in found.population.components
    ]
    heads = torch.cat([tuned[None], found.heads])
    return random_questions(Learned(heads, Population(tuple(parts)), found.model))


def random_questions(found: Learned) -> Keel:
    """The method that asks at random."""
    return Keel(found, torch.zeros(0, len(found.heads), dtype=torch.float64), Rule.RANDOM)


def tuned_ridge(world: World) -> Method:
    """Keel with the ridge that the aggregate head was tuned to, λ̄ still learned."""
    return fitted(world, replace(NO_TASTES, aggregate_ridge=best_ridge(world)), ALONE | {"aggregate_ridge"})


STEPS: Mapping[str, tuple[str, Recipe]] = {
    BASE: ("one tuned head for everybody", aggregate),
    "length": ("length alone", length),
    "keel": ("Keel, as `keel train` fits it", fitted),
    "no tastes": ("no heads of tastes", partial(fitted, start=NO_TASTES, given=ALONE)),
    "tuned ridge": ("no tastes, and the ridge of the tuned aggregate head", tuned_ridge),
    "no calm": ("`calm` left at 1", partial(fitted, given=frozenset({"mean_shrinkage"}))),
    "no test": (
        "tastes kept whether or not answers pass the test",
        partial(fitted, given=frozenset({"covariance_scale"})),
    ),
    "around the aggregate": ("people spread around the tuned aggregate head, not around λ̄", centred),
    "both": ("the last two together", partial(centred, given=frozenset({"covariance_scale"}))),
}
"""Variant -> what it is, and how it is learned from a world."""


def measure(some: Sequence[World], steps: Mapping[str, tuple[str, Recipe]] = STEPS) -> dict[str, Any]:
    """AUC and negative log-likelihood of every variant after STAGES answers, and the differences from BASE."""
    trajectories: dict[str, list[Trajectory]] = {name: [] for name in steps}
    for world in some:
        for name, (_, recipe) in steps.items():
            trajectories[name].append(play(world, recipe(world), name, STAGES))
    played = {name: samples_of(found) for name, found in trajectories.items()}
    measures = {name: MEASURES[name] for name in ("auc", "nll")}
    curves = {name: replicated(samples, measures) for name, samples in played.items()}
    steps_found = {
        name: {measure: _stages(values, curves[BASE][measure][0]) for measure, values in found.items()}
        for name, found in curves.items()
    }
    return {
        "study": "few",
        "title": _title(some, played[BASE]),
        "steps": steps_found,
        "columns": COLUMNS,
        "rows": [_row(steps[name][0], found) for name, found in steps_found.items()],
    }


def _title(some: Sequence[World], played: Sequence[Sample]) -> str:
    people = {int(person) for sample in played for person in sample.people}
    taught = sum(world.train.size for world in some) / len(some)
    prompts = sum(len(world.train.prompts.unique()) for world in some) / len(some)
    return (
        f"{some[0].name}: {len(people)} people tested in {len(some)} splits; in the mean, "
        f"{taught:.0f} people and {prompts:.0f} prompts to learn from."
    )


def _stages(values: Mapping[int, Any], base: Any) -> dict[str, dict[str, Any]]:
    return {
        str(stage): {
            "value": round(float(found[0]), 4),
            "difference": round(float(found[0] - base[0]), 4),
            "ci": [round(end, 4) for end in interval(found - base)],
        }
        for stage, found in values.items()
    }


def _row(what: str, found: Mapping[str, Any]) -> list[str]:
    """AUC after STAGES answers, then the differences that matter."""
    values = " / ".join(f"{found['auc'][str(k)]['value']:.3f}" for k in STAGES)
    return [what, values, *(_difference(found[kind][str(k)]) for k in (0, 10) for kind in ("auc", "nll"))]


def _difference(found: Mapping[str, Any]) -> str:
    low, high = found["ci"]
    return f"{found['difference']:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.few", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="file of comparisons")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"number of splits (default {SEEDS})")
    parser.add_argument("--first-seed", type=int, default=0, help="first split (default 0)")
    add_outputs(parser)
    options = parser.parse_args(arguments)
    drawn = range(options.first_seed, options.first_seed + options.seeds)
    some = [world for seed in drawn for world in worlds(seed, quick=False, data=options.data)]
    result = {**measure(some), "command": f"python -m bench.studies.few --data DATA --seeds {options.seeds}"}
    give(result, options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
