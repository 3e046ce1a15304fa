"""The sources that cards pin, each opened once for the engines of all bases that name it."""

from collections.abc import Sequence

import torch

from app.sources.columns import CachedSource, ColumnCache
from app.sources.counted import CountedSource
from app.sources.limited import LimitedSource
from app.sources.opening import openers
from app.storage.judgments import Judgments
from reward_bases.sources.entry import SourceEntry
from reward_bases.sources.opening import OPENERS, PinnedSource
from reward_bases.sources.source import Columns, Pair, Source, Wrapped


class NamedSource(Wrapped):
    """The columns of ``source``, which messages call by its name in the recipe."""

    def __init__(self, source: Source, name: str) -> None:
        super().__init__(source)
        self._name = name

    @property
    def kind(self) -> str:
        return self._name

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, f) float64, as the source gives them."""
        return await self._source.columns(pairs)


class UnaskedSource(Wrapped):
    """Zeros in place of the columns of ``source``, which is not asked."""

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, f) float64."""
        return Columns(torch.zeros(len(pairs), len(self.names), dtype=torch.float64))


def is_slow(entry: SourceEntry) -> bool:
    """Whether a source is asked over a network, where every call has a price."""
    return entry.kind not in OPENERS


class PinnedSources:
    """Read through the cache ``columns``; judges keep what they said in ``judgments``, without which there are none."""

    def __init__(self, columns: ColumnCache, judgments: Judgments | None) -> None:
        self._columns, self._judgments = columns, judgments
        self._openers = OPENERS if judgments is None else openers(judgments)
        self._pinned: dict[tuple[str, str], tuple[PinnedSource, Source]] = {}

    def of(self, entry: SourceEntry) -> Source:
        """The source of a card's entry; it is opened when it is first asked."""
        key = (entry.kind, entry.version)
        if key not in self._pinned:
            pinned = PinnedSource(entry, self._openers)
            read = pinned if is_slow(entry) else LimitedSource(pinned)
            self._pinned[key] = pinned, CachedSource(CountedSource(read), self._columns)
        return NamedSource(self._pinned[key][1], entry.name)

    def open(self) -> None:
        """Open all; raises ArtifactMismatch where one is another than its card pins."""
        for pinned, _ in self._pinned.values():
            pinned.open()

    async def close(self) -> None:
        if self._judgments is not None:
            await self._judgments.close()
