"""A source that reads one call at a time: a model on this machine is no quicker with two."""

import asyncio
from collections.abc import Sequence

from reward_bases.sources.source import Columns, Pair, Source, Wrapped


class LimitedSource(Wrapped):
    """The columns of ``source``; calls wait for one another."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._turn = asyncio.Lock()

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, f) float64, as the source gives them."""
        async with self._turn:
            return await self._source.columns(pairs)
