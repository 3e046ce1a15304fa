"""An encoder for worlds, files to make them of, and what is in them."""

import csv
import gzip
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.compare.world import NOBODY, HeldOut, World
from reward_bases.text import digest

STATEMENTS, VOTERS = 30, 40
DEBATES, ARGUMENTS, WORKERS = 16, 4, 24
DIMENSION = 40


def encode(texts: Sequence[str], salt: str = "") -> Tensor:
    """Unit vectors that depend on nothing but each text."""
    seeds = [int(digest(salt + text)[:12], 16) for text in texts]
    rows = [torch.randn(DIMENSION, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.nn.functional.normalize(torch.stack(rows), dim=-1)


def items(person: HeldOut) -> tuple[set[int], set[int]]:
    """Items a person is asked about, and those they are tested on."""
    asked, tested = ({*p.left.tolist(), *p.right.tolist()} - {NOBODY} for p in (person.pool, person.targets))
    return asked, tested


def taught(world: World) -> set[int]:
    """Items that training people judged."""
    return {*world.train.pairs.left.tolist(), *world.train.pairs.right.tolist()} - {NOBODY}


def same(one: World, other: World) -> bool:
    """Whether two worlds agree in features, training answers, and what held-out people are asked, say and want."""

    def numbers(world: World) -> list[Tensor]:
        held_out = [part for p in world.people for part in (p.pool.left, p.outcomes.column, p.targets.left, p.labels)]
        return [world.features, world.train.pairs.left, world.train.outcomes.column, world.served.left, *held_out]

    return len(one.people) == len(other.people) and all(map(torch.equal, numbers(one), numbers(other)))


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def conversation_files(folder: Path) -> None:
    generator = torch.Generator().manual_seed(2)
    table = torch.randint(-1, 2, (VOTERS, STATEMENTS), generator=generator).tolist()
    cast = [(f"u{u}", s, vote) for u, row in enumerate(table) for s, vote in enumerate(row) if (u * s) % 7 != 3]
    write(folder / "statements.csv.gz", ("id", "text"), [(s, f"Statement {s} is so.") for s in range(STATEMENTS)])
    write(folder / "votes.csv.gz", ("user", "statement", "vote"), cast)


def debate_files(folder: Path) -> None:
    sides = [f"Debate: topic {d} Argue for this side: {side}" for d in range(DEBATES) for side in ("yes", "no")]
    rows = [(f"{s}-{i}", side, f"Because of {s}, {i}! {'so ' * i}") for s, side in enumerate(sides) for i in range(4)]
    write(folder / "ukpconvarg1" / "arguments.csv.gz", ("id", "prompt", "text"), rows)
    generator = torch.Generator().manual_seed(4)
    judged = [
        (worker, f"{side}-{a}", f"{side}-{b}", ("a", "b", "tie")[int(torch.randint(3, (), generator=generator))])
        for worker in range(WORKERS)
        for side in range(len(sides))
        for a, b in itertools.combinations(range(ARGUMENTS), 2)
        if worker % 3 or side % 5 == worker % 5
    ]
    write(folder / "ukpconvarg1" / "judgments.csv.gz", ("user", "a", "b", "choice"), judged)


def comparisons(path: Path, shared: bool) -> None:
    """Twenty people, each with 24 prompts: the same for all, or of their own. Everybody likes the longer text."""
    rows = []
    for u, p in itertools.product(range(20), range(24)):
        prompt = f"prompt {p}" if shared else f"prompt {p} of {u}"
        choice = "tie" if p == 5 else "ab"[(u + p) % 2]
        sides = [f"short {p}", f"much longer answer {p}"]
        rows.append((f"u{u}", prompt, *(sides if choice == "b" else sides[::-1]), choice))
    write(path, ("user", "prompt", "response_a", "response_b", "choice"), rows)


def ten_each(folder: Path, people: int, busy: int | None = None, rest: int = 10) -> None:
    """The ``busy`` first people, or all, judge ten of 60 pairs, each of another prompt, and others ``rest`` of them.

    Everybody has a taste of their own for three features of the items.
    """
    generator = torch.Generator().manual_seed(people)
    features = torch.randn(120, 3, generator=generator, dtype=torch.float64)
    rows = []
    for person in range(people):
        taste = 2 * torch.randn(3, generator=generator, dtype=torch.float64)
        count = 10 if busy is None or person < busy else rest
        for pair in torch.randperm(60, generator=generator)[:count].tolist():
            better = torch.sigmoid((features[2 * pair] - features[2 * pair + 1]) @ taste)
            choice = "a" if float(torch.rand((), generator=generator)) < float(better) else "b"
            rows.append((f"u{person}", 2 * pair, 2 * pair + 1, choice, pair))
    write(folder / "judgments.csv.gz", ("user", "left", "right", "choice", "prompt"), rows)
    np.save(folder / "items.npy", features.numpy())
