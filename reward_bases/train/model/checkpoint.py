"""Finished parts of an interrupted run, in a folder: scores of settings, and factors after every round of EM.

A file is written under another name and renamed when it is complete.
"""

import json
import os
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from reward_bases.population_codec import population_of, population_tensors
from reward_bases.train.model.heads import Factors

PRIVATE = 0o600
PUBLIC = 0o644


def write_whole(path: Path, content: bytes, mode: int = PUBLIC) -> None:
    """Write ``content`` to ``path`` with permissions ``mode``, all or nothing."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: Path, content: Any, mode: int = PUBLIC) -> None:
    """Write ``content`` as indented JSON, all or nothing."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, (text + "\n").encode(), mode)


class Scores(MutableMapping[str, float]):
    """Scores by setting and value, kept in a JSON file; ``progress`` gets their number."""

    def __init__(self, path: Path, progress: Callable[[int], None] = lambda done: None) -> None:
        self._path, self._progress = path, progress
        self._known: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def __getitem__(self, key: str) -> float:
        return self._known[key]

    def __setitem__(self, key: str, value: float) -> None:
        self._known[key] = value
        write_json(self._path, self._known)
        self._progress(len(self))

    def __delitem__(self, key: str) -> None:
        del self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def save_factors(path: Path, factors: Factors) -> None:
    """Heads, population and rounds, bit by bit."""
    rounds = torch.tensor([factors.rounds])
    write_whole(path, save({"heads": factors.heads, "rounds": rounds, **population_tensors(factors.population)}))


def load_factors(path: Path) -> Factors:
    """Factors as ``save_factors`` wrote them."""
    tensors = load(path.read_bytes())
    return Factors(tensors["heads"], population_of(tensors), int(tensors["rounds"]))
