"""``python -m bench.studies.few SUITE --data DIR``: which step of Keel's fit costs what, on few people and few prompts.

SUITE is a suite of ``keel bench`` whose people compare responses. Every variant of STEPS takes one step out of Keel's
fit. All of them ask held-out people the same random questions. Differences are from the tuned aggregate head, paired,
with 95 % intervals by bootstrap over people.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from bench.compare.intervals import Sample, interval, replicated
from bench.compare.keel import Keel, given_heads, judged_by
from bench.compare.measure import MEASURES
from bench.compare.method import Method, Recipe
from bench.compare.peers.aggregate import aggregate, length
from bench.compare.report import samples_of
from bench.compare.simulate import Trajectory, play
from bench.compare.terminal import many
from bench.compare.world import World
from bench.compare.worlds import captions, llmfao
from bench.studies.people import add_people, add_seeds, asked_seeds
from bench.studies.table import add_outputs, give, signed_interval
from elicitation.acquisition import Rule
from reward_bases.train.model.learn import Learned, LearnSettings, learn
from reward_bases.train.validate.choose import LEAST, choose_settings

SUITES = {"llmfao": llmfao.worlds, "captions": captions.worlds}
STAGES = (0, 5, 10)
SEEDS = 2
BASE = "aggregate"
COLUMNS = ("step", "AUC at 0 / 5 / 10", "AUC at 0", "NLL at 0", "AUC at 10", "NLL at 10")
"""After the first two, differences from BASE."""


def fitted(world: World, **held: Any) -> Method:
    """Keel by random questions, with all settings chosen but those ``held``."""
    judged, fixed, start = judged_by(world, shuffled=False), given_heads(world), LearnSettings(seed=world.seed)
    settings = choose_settings(judged, fixed, replace(start, **held), not world.by_heart, frozenset(held))
    return random_questions(learn(judged, fixed, settings))


def random_questions(found: Learned) -> Keel:
    """The method that asks at random."""
    return Keel(found, torch.zeros(0, len(found.heads), dtype=torch.float64), Rule.RANDOM)


STEPS: Mapping[str, tuple[str, Recipe]] = {
    BASE: ("one tuned head for everybody", aggregate),
    "length": ("length alone", length),
    "keel": ("Keel, as `keel train` fits it", fitted),
    "learned mean": ("λ̄ learned with the population, not held at the head", partial(fitted, mean_held=False)),
    "no tastes": ("no heads of tastes", partial(fitted, learned=0)),
    "no given": ("nobody differs in the given heads", partial(fitted, fixed_scale=LEAST)),
    "nothing": ("neither: the head alone", partial(fitted, learned=0, fixed_scale=LEAST)),
    "no test": (
        "people differ as EM finds, whether or not that surely helps",
        partial(fitted, fixed_scale=1.0, covariance_scale=1.0),
    ),
}
"""Variant -> what it is, and how it is learned from a world."""


def measure(some: Sequence[World], steps: Mapping[str, tuple[str, Recipe]]) -> dict[str, Any]:
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
    seeds = many(len({world.seed for world in some}), "seed")
    return (
        f"{some[0].name}: {len(people)} people tested in {len(some)} splits of {seeds}; in the mean, "
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
    apart = [found[kind][str(k)] for k in (0, 10) for kind in ("auc", "nll")]
    return [what, values, *(signed_interval(one["difference"], one["ci"]) for one in apart)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.few", description=__doc__)
    add_people(parser, SUITES)
    add_seeds(parser, SEEDS)
    add_outputs(parser)
    options = parser.parse_args(arguments)
    some = [
        world for seed in asked_seeds(options) for world in SUITES[options.suite](seed, quick=False, data=options.data)
    ]
    command = f"python -m bench.studies.few {options.suite} --data DATA --seeds {options.seeds}"
    command += f" --first-seed {options.first_seed}" if options.first_seed else ""
    result = {**measure(some, STEPS), "command": command}
    give(result, options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
