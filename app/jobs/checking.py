"""``keel basis check``: what each head of a basis measures, and what its sources cost and how they repeat themselves.

Heads are checked on the answers of the bank, whose φ the basis holds. The sources of its recipe read a sample of them
again; a judge that has judged them before is not asked again.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from app.profiles.basis import open_artifact
from app.sources.judge.source import JudgeSource
from app.sources.opening import opening
from reward_bases.artifact import DEFAULT, Artifact
from reward_bases.recipe.checks import FLAT, HeadCheck, alike, check_heads
from reward_bases.recipe.reference import reference_of_bank
from reward_bases.sources.entry import SourceEntry
from reward_bases.sources.opening import PinnedSource
from reward_bases.sources.source import Columns, Pair
from reward_bases.traits.pairs import within_spread

PROMPTS = 8
"""Of the bank, whose answers the sources read."""
REPEATED, DISAGREED = 1e-3, 0.5


@dataclass(frozen=True)
class SourceCheck:
    """A source on a sample of pairs.

    Attributes:
        name: in the recipe.
        kind: of the source.
        version: as the card pins it.
        seconds: for a thousand pairs, at the pace of the sample.
        calls: to a server for a thousand pairs; 0 for what computes here, and for a judge that had judged the sample.
        difference: the largest between two readings of a pair, for a judge the mean standard error of its votes; in
            within-prompt spreads of the column. The largest column counts.
        failed: pairs of the sample that could not be read.
    """

    name: str
    kind: str
    version: str
    seconds: float
    calls: float
    difference: float
    failed: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at."""
        found = []
        if self.failed:
            found.append(f"{self.name} could not read {self.failed} of the sample's pairs")
        if self.kind == JudgeSource.kind and self.difference > DISAGREED:
            found.append(
                f"{self.name} contradicts itself: its votes have a standard error of {self.difference:.2f} spreads"
            )
        if self.kind != JudgeSource.kind and self.difference > REPEATED:
            found.append(f"{self.name} does not repeat itself: {self.difference:.3f} spreads between two readings")
        return tuple(found)


@dataclass(frozen=True)
class Checked:
    """All heads and the sources that the card pins, with what somebody should look at."""

    basis_version: str
    heads: tuple[HeadCheck, ...]
    sources: tuple[SourceCheck, ...]
    warnings: tuple[str, ...]


def check(folder: Path | None, data_dir: Path) -> Checked:
    """The basis in ``folder``, by default the one shipped; judges keep what they say in ``data_dir``.

    Raises ArtifactMismatch where a source is another than the card pins.
    """
    artifact = open_artifact(folder or DEFAULT)
    answers = reference_of_bank(artifact.bank)
    shape = answers.prompts, answers.responses
    phi = torch.stack(list(artifact.bank_phi.values())).unflatten(0, shape)
    words = torch.tensor([len(pair.response.split()) for pair in answers.pairs]).reshape(shape)
    heads = check_heads(artifact.basis.names, phi, words)
    sources = sources_of(artifact, data_dir)
    warnings = (
        *(said for head in heads for said in head.warnings),
        *alike(heads),
        *(said for source in sources for said in source.warnings),
    )
    return Checked(artifact.basis.version, heads, sources, warnings)


def sources_of(artifact: Artifact, data_dir: Path) -> tuple[SourceCheck, ...]:
    """The sources of the artifact's card, on the first answers of its bank."""
    answers = reference_of_bank(artifact.bank)
    sample = answers.pairs[: PROMPTS * answers.responses]
    with opening(data_dir) as openers:
        opened = [(entry, PinnedSource(entry, openers), PinnedSource(entry, openers)) for entry in artifact.sources]
        return tuple(asyncio.run(_checked(*sources, sample, answers.responses)) for sources in opened)


async def _checked(
    entry: SourceEntry, pinned: PinnedSource, again: PinnedSource, sample: tuple[Pair, ...], responses: int
) -> SourceCheck:
    source = pinned.open()
    start = time.perf_counter()
    columns = await source.columns(sample)
    seconds = time.perf_counter() - start
    judge = source if isinstance(source, JudgeSource) else None
    differences = await (judge.noise(sample) if judge else _repeated(again, sample, columns))
    whole = [row for row in range(len(sample)) if row not in columns.failed]
    return SourceCheck(
        name=entry.name,
        kind=entry.kind,
        version=entry.version,
        seconds=1000 * seconds / len(sample),
        calls=1000 * judge.spent.calls / len(sample) if judge else 0.0,
        difference=_in_spreads(differences[whole], _spread(columns, responses), mean=judge is not None),
        failed=len(columns.failed),
    )


async def _repeated(again: PinnedSource, sample: tuple[Pair, ...], columns: Columns) -> Tensor:
    return ((await again.columns(sample)).values - columns.values).abs()


def _spread(columns: Columns, responses: int) -> Tensor:
    """Of each column (f,) within prompts; failed rows count as they are."""
    return within_spread(columns.values.unflatten(0, (-1, responses)))


def _in_spreads(differences: Tensor, spread: Tensor, mean: bool) -> float:
    """Of the column with the largest, ``differences`` (n, f) in its spread; 0 without rows."""
    if not len(differences):
        return 0.0
    column = differences.mean(0) if mean else differences.max(0).values
    return float((column / spread.clamp_min(FLAT)).where(column > 0, torch.zeros_like(column)).max())
