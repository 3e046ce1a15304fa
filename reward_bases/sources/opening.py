"""Sources by kind: opened from the settings of a recipe, or as a card pinned them.

To add a kind that computes on this machine, write its source beside this file and name it in OPENERS. Kinds that need
a network have openers of their own in ``app/sources``.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from elicitation.errors import ArtifactMismatch
from reward_bases.sources.entry import SourceEntry
from reward_bases.sources.function import FunctionSource
from reward_bases.sources.reward_model import RewardModelSource
from reward_bases.sources.source import Columns, Pair, Source

Opener = Callable[[Mapping[str, Any]], Source]


OPENERS: Mapping[str, Opener] = {
    "function": lambda settings: FunctionSource.load(settings["call"]),
    "reward_model": lambda settings: RewardModelSource.load(
        Path(settings["model"]),
        settings.get("outputs"),
        settings["device"],
        settings["dtype"],
        settings["window"],
    ),
}
"""Kind -> from the settings of its table in a recipe to the source; raises InvalidInput where it cannot be opened."""


class PinnedSource:
    """The source of an ``entry``, opened when it is first asked; another one than the card pins is refused."""

    def __init__(self, entry: SourceEntry, openers: Mapping[str, Opener] = OPENERS) -> None:
        self.kind, self.names, self.version = entry.kind, entry.columns, entry.version
        self._entry, self._openers = entry, openers
        self._source: Source | None = None
        self._opening = Lock()

    def open(self) -> Source:
        """The opened source; a model takes seconds. Raises ArtifactMismatch unless it is the one of the entry."""
        with self._opening:
            if self._source is None:
                found = self._openers[self.kind](self._entry.settings)
                _require_pinned(found, self._entry)
                self._source = found
            return self._source

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """As the source gives them."""
        source = self._source
        if source is None:
            source = await asyncio.to_thread(self.open)
        return await source.columns(pairs)


def _require_pinned(found: Source, entry: SourceEntry) -> None:
    for what, now, pinned in (("columns", found.names, entry.columns), ("version", found.version, entry.version)):
        if now != pinned:
            raise ArtifactMismatch(
                f"source {entry.name} has {what} {now!r}, the basis was built on {pinned!r}; restore it, or build the "
                "basis again"
            )
