"""``python -m bench.studies.million``: time and memory of ``keel train`` on given features of many people.

P simulated people judge pairs of responses to the same prompt. The F features of a response are drawn from a normal
distribution. A person's reward is the common reward plus four tastes of their own.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare.counts import at_least
from reward_bases.train.request import Request
from reward_bases.train.run import train

FEATURES, TASTES = 64, 4
PROMPTS, RESPONSES = 5_000, 10
WIDTH = 0.2
"""Spread of a feature's weight in a reward, nats."""


class Clock:
    """Writes every stage and the seconds at which it began to standard error."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.stages: dict[str, float] = {}

    def stage(self, name: str) -> None:
        self.stages[name] = round(time.monotonic() - self.begun, 1)
        print(f"{self.stages[name]:8.1f} s {peak_gigabytes():5.2f} GB  {name}", file=sys.stderr, flush=True)

    def progress(self, done: int, total: int) -> None:
        print(f"{time.monotonic() - self.begun:8.1f} s    {done}/{total}", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)


def make(folder: Path, people: int, judgments: int, seed: int) -> None:
    """Write ``items.npy`` and ``judgments.parquet``."""
    draw = np.random.default_rng(seed)
    items = draw.standard_normal((PROMPTS * RESPONSES, FEATURES), dtype=np.float32)
    np.save(folder / "items.npy", items)
    common = draw.normal(0, WIDTH, FEATURES)
    tastes = draw.normal(0, WIDTH, (TASTES, FEATURES))
    own = draw.normal(0, 1, (people, TASTES))
    who = np.sort(draw.integers(0, people, judgments))
    prompt = draw.integers(0, PROMPTS, judgments)
    first = draw.integers(0, RESPONSES, judgments)
    second = (first + draw.integers(1, RESPONSES, judgments)) % RESPONSES
    left, right = prompt * RESPONSES + first, prompt * RESPONSES + second
    values, everybody = items @ tastes.T, items @ common
    z = ((values[left] - values[right]) * own[who]).sum(1) + everybody[left] - everybody[right]
    choice = np.where(draw.random(judgments) < 1 / (1 + np.exp(-z)), "a", "b")
    columns = {"user": who, "left": left, "right": right, "choice": choice, "prompt": prompt}
    pq.write_table(pa.table(columns), folder / "judgments.parquet")


def peak_gigabytes() -> float:
    """Most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.million", description=__doc__)
    parser.add_argument("--people", type=at_least(2), default=100_000, help="number of simulated people")
    parser.add_argument("--judgments", type=at_least(1), default=1_000_000, help="number of judgments")
    parser.add_argument("--heads", type=at_least(0), help="number of heads to learn (default: cross-validation)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="random seed")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        make(folder / "data", options.people, options.judgments, options.seed)
        clock = Clock()
        request = Request(folder / "data", folder / "basis", folder / "cache", heads=options.heads)
        result = train(request, False, clock)
        seconds = time.monotonic() - clock.begun
    gain = result["metrics"]["gain"]["10"]
    print(
        json.dumps(
            {
                "people": options.people,
                "judgments": options.judgments,
                "seconds": round(seconds, 1),
                "peak_gigabytes": round(peak_gigabytes(), 2),
                "stages": clock.stages,
                "settings": result["settings"],
                "auc_aggregate": result["metrics"]["aggregate"]["auc"]["value"],
                "auc_after_10": result["metrics"]["personal"]["10"]["auc"]["value"],
                "gain_auc_10": gain["auc"],
            }
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
