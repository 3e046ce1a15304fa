"""``python -m bench.studies.prior SUITE --data DIR``: ``keel train --prior default`` where few people teach.

Of a data set's people ``--people`` are drawn, ``--draws`` times, and teach as in ``keel train``, with a fifth of the
prompts held out. All others are held out: 0 to 20 of their own judgments are read, those about held-out prompts are
predicted. Each draw is fitted once, with the prior; without it the same settings and heads are used, and nobody counts
for the prior. The others are many, so a draw's figures are exact beside the differences between draws: intervals are
Student's over draws, 95 %.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from scipy.stats import t as student

from bench.compare.counts import at_least
from bench.compare.terminal import many
from bench.compare.worlds import captions, llmfao
from bench.compare.worlds.text import CACHE
from bench.studies.people import add_people
from bench.studies.table import add_outputs, give, signed
from bench.studies.training import trained, without_prior
from reward_bases.train.data.reading import Data
from reward_bases.train.fitting import Fit
from reward_bases.train.request import SHIPPED, Request
from reward_bases.train.training_set import Materials, gather
from reward_bases.train.validate.evaluate import Stage, evaluate
from reward_bases.train.validate.split import PROMPTS, Split

SUITES: Mapping[str, Callable[[Path], Data]] = {"llmfao": llmfao.read_from, "captions": captions.read_from}
STAGES = (0, 5, 10, 20)
DRAWS = 8
COLUMNS = (
    "people",
    "answers",
    "AUC, aggregate",
    "AUC, no prior",
    "AUC, prior",
    "prior − no prior, AUC",
    "prior − no prior, nats",
    "no prior − aggregate, nats",
    "prior − aggregate, nats",
)


class Silent:
    """Hears nothing of the progress."""

    def stage(self, name: str) -> None: ...

    def progress(self, done: int, total: int) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Draw:
    """Figures of one draw by number of answers, with the prior and without, and as how many people it counted."""

    prior_people: float
    with_prior: Mapping[int, Stage]
    without: Mapping[int, Stage]
    aggregate: float


def gathered(data: Data, folder: Path) -> Materials:
    """Everybody's judgments with their features and the shipped spreads."""
    request = Request(data=folder, out=folder, cache=CACHE, prior=SHIPPED)
    return gather(data, request, folder, Silent())


def drawn(materials: Materials, people: int, seed: int) -> Draw:
    """The figures of one draw of ``people``."""
    split = held_out(materials, people, torch.Generator().manual_seed(seed))
    fit = trained(materials.without(split), split.new_prompts, seed)
    return Draw(fit.settings.prior_people, *_stages(split, seed, fit, without_prior(fit)))


def held_out(materials: Materials, people: int, generator: torch.Generator) -> Split:
    """All but ``people`` held out, with a fifth of the prompts."""
    judged = materials.judged
    held = torch.ones(judged.size, dtype=torch.bool)
    held[torch.randperm(judged.size, generator=generator)[:people]] = False
    asked = judged.prompts.unique()
    new = asked[torch.randperm(len(asked), generator=generator)[: round(PROMPTS * len(asked))]]
    return Split.holding_out(judged, held, torch.isin(judged.prompts, new), generator)


def _stages(split: Split, seed: int, fit: Fit, without: Fit) -> tuple[Mapping[int, Stage], Mapping[int, Stage], float]:
    found = [
        evaluate([one.predictions(split)], split.held_out.size, torch.Generator().manual_seed(seed))
        for one in (fit, without)
    ]
    by_answers = [{stage.answers: stage for stage in one.stages} for one in found]
    return by_answers[0], by_answers[1], found[0].aggregate["auc"].value


def measure(materials: Materials, sizes: Sequence[int], draws: int, name: str) -> dict[str, Any]:
    """The table over all draws of every size."""
    found = {people: list(_all(materials, people, draws)) for people in sizes}
    rows = [_row(people, answers, some) for people, some in found.items() for answers in STAGES]
    counted = {people: sorted(draw.prior_people for draw in some) for people, some in found.items()}
    said = "; ".join(f"{people}: {', '.join(f'{one:g}' for one in some)}" for people, some in counted.items())
    return {
        "study": "prior",
        "title": f"{name}, {many(draws, 'draw')} of people. As how many people the prior counted, by people: {said}.",
        "columns": COLUMNS,
        "rows": [row.spoken for row in rows],
        "found": [row.stored for row in rows],
        "prior_people": counted,
    }


def _all(materials: Materials, people: int, draws: int) -> Iterator[Draw]:
    for seed in range(draws):
        yield drawn(materials, people, seed)
        print(f"{people} people, draw {seed + 1}/{draws}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Row:
    """Means over draws, and differences with their half widths."""

    people: int
    answers: int
    values: Mapping[str, float]
    differences: Mapping[str, tuple[float, float]]

    @property
    def spoken(self) -> list[str]:
        aucs = [f"{value:.3f}" for value in self.values.values()]
        apart = [f"{signed(value)} ± {half:.3f}" for value, half in self.differences.values()]
        return [str(self.people), str(self.answers), *aucs, *apart]

    @property
    def stored(self) -> dict[str, Any]:
        apart = {
            name: {"value": round(value, 4), "half_width": round(half, 4)}
            for name, (value, half) in self.differences.items()
        }
        aucs = {name: round(value, 4) for name, value in self.values.items()}
        return {"people": self.people, "answers": self.answers, "auc": aucs, "differences": apart}


def _row(people: int, answers: int, some: Sequence[Draw]) -> Row:
    pairs = [(draw.with_prior[answers], draw.without[answers]) for draw in some]
    values = {
        "aggregate": _mean([draw.aggregate for draw in some]),
        "without": _mean([without.personal["auc"].value for _, without in pairs]),
        "with": _mean([own.personal["auc"].value for own, _ in pairs]),
    }
    nats = "log_likelihood"
    differences = {
        "auc": [own.personal["auc"].value - without.personal["auc"].value for own, without in pairs],
        "nats": [own.personal[nats].value - without.personal[nats].value for own, without in pairs],
        "nats, without − aggregate": [without.gain[nats].value for _, without in pairs],
        "nats, with − aggregate": [own.gain[nats].value for own, _ in pairs],
    }
    return Row(people, answers, values, {name: _interval(every) for name, every in differences.items()})


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its interval over draws."""
    each = torch.tensor(values, dtype=torch.float64)
    half = student.ppf(0.975, len(values) - 1) * float(each.std()) / len(values) ** 0.5
    return float(each.mean()), float(half)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.prior", description=__doc__)
    add_people(parser, SUITES)
    parser.add_argument(
        "--people", type=at_least(1), nargs="+", default=(20, 40), help="numbers of people (default 20 40)"
    )
    parser.add_argument("--draws", type=at_least(2), default=DRAWS, help=f"of each number of people (default {DRAWS})")
    add_outputs(parser)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        materials = gathered(SUITES[options.suite](options.data), Path(folder))
        result = measure(materials, options.people, options.draws, options.suite)
    people = " ".join(str(count) for count in options.people)
    result["command"] = (
        f"python -m bench.studies.prior {options.suite} --data DATA --people {people} --draws {options.draws}"
    )
    give(result, options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
