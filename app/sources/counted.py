"""A source whose failures are counted. Refusals of a busy queue and clients that went away are none."""

from collections.abc import Sequence

from app.errors import ClientGone, NotReady, TooManyRequests
from app.observing.metrics import SOURCE_FAILURES
from reward_bases.sources.source import Columns, Pair, Source, Wrapped

REFUSALS = (ClientGone, NotReady, TooManyRequests)


class CountedSource(Wrapped):
    """The columns of ``source``; pairs that it could not read are counted under its kind."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._failures = SOURCE_FAILURES.labels(source.kind)

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, f) float64, as the source gives them."""
        try:
            columns = await self._source.columns(pairs)
        except Exception as error:
            if not isinstance(error, REFUSALS):
                self._failures.inc(len(pairs))
            raise
        self._failures.inc(len(columns.failed))
        return columns
