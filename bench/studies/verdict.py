"""``python -m bench.studies.verdict``: how often ``keel train`` finds something where there is nothing to find.

P people judge pairs of responses to the same prompts. The features of the responses are drawn once from a normal
distribution. In every run the labels are dealt out anew, by lot: they depend on no feature and on no person. Then
people are judged as ``keel train`` judges them. Without each fold of the people in turn settings are chosen and heads
learned; the predictions of all folds give one verdict. Nobody's answers tell anything about their other judgments, so
a verdict of "better" or "worse" comes of chance or of learning from noise. Each may come up in one run of twenty.
Intervals of shares are Wilson's (1927), 95 %.

A run takes three quarters of a minute on one core; ``--workers`` shares the runs out among processes.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from statistics import fmean
from typing import Any

import torch
from scipy.stats import binomtest

from bench.compare.counts import at_least
from bench.compare.terminal import many
from bench.studies.table import add_outputs, give, signed
from bench.studies.training import trained
from elicitation.choice import Outcomes
from elicitation.statistics import Interval
from reward_bases.train.data.judgments import InMemory, Judgments
from reward_bases.train.training_set import Materials
from reward_bases.train.validate.evaluate import Evaluation, evaluate
from reward_bases.train.validate.split import tests

RUNS = 200
VERDICTS = ("better", "worse", "unclear")
ERRORS = ("better", "worse")
"""The verdicts that find something."""
TOLERATED = 20
"""Each of ERRORS may come up in one run of so many."""
COLUMNS = ("verdict", "runs", "at most", "share", "95 %", "gain on the aggregate", "gain on no answers")
"""The gains are means over the runs with that verdict, nats per judgment."""


@dataclass(frozen=True)
class Crowd:
    """``people`` of ``each`` judgments, on ``responses`` to each of the ``prompts`` with so many ``features``.

    ``ties`` is the share of judgments that say "same".
    """

    people: int = 251
    each: int = 10
    prompts: int = 60
    responses: int = 4
    features: int = 20
    ties: float = 0.1
    seed: int = 0

    @property
    def text(self) -> str:
        return (
            f"{self.people} people of {self.each} judgments each, on {self.prompts} prompts with {self.responses} "
            f"responses of {self.features} features"
        )


@dataclass(frozen=True)
class Seeds:
    """Of the ``labels``, and of the ``training`` with its folds: two, so that no label follows from its fold."""

    labels: int
    training: int


@dataclass(frozen=True)
class Run:
    """The verdict of one run, and how much was gained in log-likelihood, nats per judgment.

    ``gain`` is the difference from the aggregate, ``added`` the difference from personal scores without answers.
    """

    verdict: str
    gain: Interval
    added: Interval

    @classmethod
    def of(cls, found: Evaluation) -> "Run":
        gains = (kind["log_likelihood"] for kind in (found.decisive.gain, found.decisive.added))
        return cls(found.verdict, *gains)


def measure(crowd: Crowd, runs: int, workers: int = 1) -> dict[str, Any]:
    """The verdicts of all ``runs``, counted."""
    found = list(_counted(_runs(crowd, seeds_of(crowd.seed, runs), workers), runs))
    return {
        "study": "verdict",
        "title": _title(crowd, found),
        "columns": COLUMNS,
        "rows": [_row(verdict, found) for verdict in VERDICTS],
        "counts": counts(found),
        "at_most": allowed(runs),
        "runs": [asdict(run) for run in found],
        "command": f"python -m bench.studies.verdict --runs {runs} --people {crowd.people} --each {crowd.each} "
        f"--seed {crowd.seed}",
    }


def seeds_of(seed: int, runs: int) -> list[Seeds]:
    """The seeds of each run."""
    drawn = torch.randint(2**31, (runs, 2), generator=torch.Generator().manual_seed(seed))
    return [Seeds(*pair) for pair in drawn.tolist()]


def one_run(crowd: Crowd, seeds: Seeds) -> Run:
    """Labels dealt out, and the verdict on them."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seeds.labels)
    return Run.of(judged_by(dealt(asked(crowd), crowd.ties, generator), seeds.training))


@lru_cache(maxsize=1)
def asked(crowd: Crowd) -> Judgments:
    """What everybody is asked, over the features; until labels are dealt out, every judgment says "same"."""
    generator = torch.Generator().manual_seed(crowd.seed)
    shape = (crowd.prompts * crowd.responses, crowd.features)
    features = torch.randn(shape, generator=generator, dtype=torch.float64)
    people = torch.arange(crowd.people).repeat_interleave(crowd.each)
    prompts = torch.randint(crowd.prompts, (len(people),), generator=generator)
    places = torch.rand(len(people), crowd.responses, generator=generator).argsort(1)[:, :2]
    left, right = (prompts[:, None] * crowd.responses + places).T
    same = labelled(torch.ones_like(left))
    return Judgments(InMemory(features), left, right, people, prompts, same, crowd.people)


def dealt(judged: Judgments, ties: float, generator: torch.Generator) -> Judgments:
    """The judgments with labels by lot: "same" for the share ``ties``, left and right alike for the others."""
    shares = torch.tensor([(1 - ties) / 2, ties, (1 - ties) / 2])
    column = shares.multinomial(len(judged), replacement=True, generator=generator)
    return replace(judged, outcomes=labelled(column))


def labelled(column: torch.Tensor) -> Outcomes:
    """Labels (N,) 0 for left, 1 for same and 2 for right, as outcomes."""
    return Outcomes(column, (1 - column).double(), torch.zeros(len(column), dtype=torch.float64))


def judged_by(judged: Judgments, seed: int) -> Evaluation:
    """How ``keel train`` with this ``seed`` judges given features on these judgments."""
    splits = tests(judged, torch.Generator().manual_seed(seed))
    materials = Materials(judged, splits, None, keeps_named=False)
    predictions = [trained(materials.without(split), split.new_prompts, seed).predictions(split) for split in splits]
    return evaluate(predictions, judged.size, torch.Generator().manual_seed(seed))


def _runs(crowd: Crowd, seeds: Sequence[Seeds], workers: int) -> Iterator[Run]:
    """Every run in order, as soon as it and those before it are done."""
    if workers == 1:
        yield from (one_run(crowd, each) for each in seeds)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(partial(one_run, crowd), seeds)


def _counted(runs: Iterator[Run], total: int) -> Iterator[Run]:
    for number, run in enumerate(runs, 1):
        print(f"{number}/{total} {run.verdict}", file=sys.stderr, flush=True)
        yield run


def counts(runs: Sequence[Run]) -> dict[str, int]:
    """How many runs had each verdict."""
    return {verdict: sum(run.verdict == verdict for run in runs) for verdict in VERDICTS}


def allowed(runs: int) -> int:
    """How many of ``runs`` may have one of ERRORS."""
    return runs // TOLERATED


def _title(crowd: Crowd, runs: Sequence[Run]) -> str:
    gain, added = (fmean(getattr(run, kind).value for run in runs) for kind in ("gain", "added"))
    return (
        f"{crowd.text}; labels dealt out at random in {many(len(runs), 'run')}. Mean gain in log-likelihood, nats per "
        f"judgment: {signed(gain, 4)} on the aggregate, {signed(added, 4)} on no answers."
    )


def _row(verdict: str, runs: Sequence[Run]) -> list[str]:
    having = [run for run in runs if run.verdict == verdict]
    share = binomtest(len(having), len(runs)).proportion_ci(0.95, method="wilson")
    gains = [
        signed(fmean(getattr(run, kind).value for run in having), 4) if having else "" for kind in ("gain", "added")
    ]
    most = str(allowed(len(runs))) if verdict in ERRORS else ""
    interval = f"{share.low:.1%} to {share.high:.1%}"
    return [verdict, str(len(having)), most, f"{len(having) / len(runs):.1%}", interval, *gains]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.verdict", description=__doc__)
    parser.add_argument("--runs", type=at_least(1), default=RUNS, help=f"dealings of labels (default {RUNS})")
    parser.add_argument("--people", type=at_least(2), default=Crowd.people, help=f"how many (default {Crowd.people})")
    parser.add_argument(
        "--each", type=at_least(1), default=Crowd.each, help=f"judgments of a person (default {Crowd.each})"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of features, questions and all runs (default 0)")
    parser.add_argument("--workers", type=at_least(1), default=1, help="processes that share the runs (default 1)")
    add_outputs(parser)
    options = parser.parse_args(arguments)
    crowd = Crowd(people=options.people, each=options.each, seed=options.seed)
    result = measure(crowd, options.runs, options.workers)
    give(result, options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
