"""A training run's arguments, its fingerprint, and the folder that it fills."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from elicitation.checks import K_MAX, require_number
from elicitation.errors import InvalidInput
from reward_bases.reading_rule import NEWEST
from reward_bases.sources.encoder import MINILM
from reward_bases.train.data.reading import ITEMS
from reward_bases.train.data.records import is_table
from reward_bases.train.model.checkpoint import write_json
from reward_bases.train.model.learn import LearnSettings

CARD = "card.json"
UNFINISHED = ".train"
SHIPPED = "default"
RUN = "run.json"
BLOCK = 1 << 20


@dataclass(frozen=True)
class Request:
    """Arguments of a run; None means that held-out people choose.

    Attributes:
        data: file or folder of judgments.
        out: output folder, new or empty.
        cache: folder of vectors and features.
        encoder: as ``load_encoder`` takes it.
        tune: whether the encoder is adapted first.
        heads: number of heads to learn beside the aggregate and the named ones.
        ridge: prior precision of their weights.
        named: whether to keep the shipped trait heads.
        prior: how far people differ along these before anybody judged: as in the shipped population, or not known.
        label_noise: share of random judgments.
        per_person: most judgments of one person.
        ensemble: how many times heads are refitted on resampled people.
        seed: random seed.
    """

    data: Path
    out: Path
    cache: Path
    encoder: str = MINILM
    tune: bool = False
    heads: int | None = None
    ridge: float | None = None
    named: bool = True
    prior: str | None = None
    label_noise: float | None = 0.0
    per_person: int | None = None
    ensemble: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        require_number("ensemble", self.ensemble, 0, 100)
        require_number("seed", self.seed, 0, 2**31)
        if self.prior not in (None, SHIPPED):
            raise InvalidInput(f"prior {self.prior!r}; it is {SHIPPED!r} (the shipped population), or left out")
        if self.prior and not self.named:
            raise InvalidInput("a prior speaks of the named heads, and --no-named leaves them out; give one of both")
        for name, value, low, high in (
            ("label noise", self.label_noise, 0.0, 0.9),
            ("heads", self.heads, 0, K_MAX - 1),
            ("ridge", self.ridge, 1e-6, 1e9),
            ("per person", self.per_person, 1, 10**9),
        ):
            if value is not None:
                require_number(name, value, low, high)

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments on which the result depends; the data come on top.

        A run of 0.1.0 knew of no prior, and is the same run without one.
        """
        left_out = {"data", "out", "cache"} | ({"prior"} if self.prior is None else set())
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    @property
    def settings(self) -> LearnSettings:
        """The start of the search for settings."""
        start = LearnSettings(label_noise=self.label_noise or 0.0, seed=self.seed)
        start = start if self.heads is None else replace(start, learned=self.heads)
        return start if self.ridge is None else replace(start, ridge=self.ridge)

    @property
    def given(self) -> frozenset[str]:
        """The settings that are not to be chosen."""
        chosen = {"learned": self.heads, "ridge": self.ridge}
        return frozenset(name for name, value in chosen.items() if value is not None)


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run; ``data_sha256`` is that of the files read."""

    request: Request
    data_sha256: str

    @classmethod
    def of(cls, request: Request) -> "RunFolder":
        return cls(request, _data_sha256(request.data))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of data and arguments."""
        named = json.dumps([self.data_sha256, self.request.arguments], sort_keys=True)
        return hashlib.sha256(named.encode()).hexdigest()

    @property
    def path(self) -> Path:
        return self.request.out

    @property
    def unfinished(self) -> Path:
        """The folder of a run that has not ended."""
        return self.path / UNFINISHED

    @property
    def steps(self) -> Path:
        """The folder of finished steps. Those of 0.1.0, which learned from thoughts too, lie outside of it."""
        return self.unfinished / f"reading-{NEWEST}"

    def finished(self) -> dict[str, Any] | None:
        """The card, if this very run was finished before, else None; raises InvalidInput for another finished run."""
        if self.unfinished.is_dir() or not (self.path / CARD).is_file():
            return None
        card: dict[str, Any] = json.loads((self.path / CARD).read_text(encoding="utf-8"))
        if card.get("training", {}).get("run") != self.fingerprint:
            raise InvalidInput(f"{self.path} holds a basis of other data or arguments; choose another folder")
        return card

    def open(self, resume: bool) -> None:
        """Begin, or go on with this run if it was interrupted; raises InvalidInput for a folder with anything else."""
        note = self.unfinished / RUN
        if note.is_file():
            if not resume:
                raise InvalidInput(f"{self.path} holds an unfinished run; pass --resume to go on, or delete it")
            if json.loads(note.read_text(encoding="utf-8"))["run"] != self.fingerprint:
                raise InvalidInput(
                    f"{self.path} holds an unfinished run on other data or with other arguments; "
                    "resume with those it began with, or choose another folder"
                )
            self.steps.mkdir(exist_ok=True)
            return
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InvalidInput(f"{self.path} is not an empty folder; choose another one")
        self.steps.mkdir(parents=True)
        write_json(note, {"run": self.fingerprint, "arguments": self.request.arguments})

    def close(self) -> None:
        """Forget the unfinished steps: the run is complete."""
        shutil.rmtree(self.unfinished)


def _data_sha256(path: Path) -> str:
    """Over the names and contents of the files that are read."""
    said = hashlib.sha256()
    for file in _files(path):
        said.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                said.update(block)
    return said.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise InvalidInput(f"{path} does not exist; give a file or a folder")
    folder = path if path.is_dir() else path.parent
    yield from (file for file in (sorted(path.iterdir()) if path.is_dir() else [path]) if is_table(file))
    if (folder / ITEMS).is_file():
        yield folder / ITEMS
