"""Rows that a source could not judge, left out of a request and named in its reply: never 0, never a mean."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.schemas.scoring import MaskedReply, MissingReply, ScoreReply, ScoreRequest
from elicitation.errors import PairsFailed

Score = Callable[[ScoreRequest, Sequence[str | None]], Awaitable[ScoreReply]]


@dataclass(frozen=True)
class Judged:
    """The ``reply`` to the ``rows`` that can be judged, None without any; ``failed``: row -> source and reason."""

    rows: Sequence[int]
    failed: Mapping[int, tuple[str, str]]
    reply: ScoreReply | None

    def widened(self, reply: ScoreReply) -> MaskedReply:
        """The reply with null in the places of the rows that failed."""
        shares = reply.components
        return MaskedReply(
            rewards=self._spread(reply.rewards),
            scores=self._spread(reply.scores),
            basis_version=reply.basis_version,
            profile_versions=reply.profile_versions,
            details=None if reply.details is None else self._spread(reply.details),
            components=None if shares is None else {name: self._spread(of) for name, of in shares.items()},
            flags=None if reply.flags is None else [flags or [] for flags in self._spread(reply.flags)],
            missing=self._missing,
        )

    def empty(self, basis_version: str, profile_versions: dict[str, str]) -> MaskedReply:
        """The reply where no row is left."""
        nothing: list[float | None] = [None] * len(self.failed)
        return MaskedReply(
            rewards=nothing,
            scores=nothing,
            basis_version=basis_version,
            profile_versions=profile_versions,
            missing=self._missing,
        )

    @property
    def _missing(self) -> list[MissingReply]:
        return [MissingReply(index=row, source=s, reason=r) for row, (s, r) in sorted(self.failed.items())]

    def _spread(self, of: Sequence[Any]) -> list[Any]:
        places = {row: place for place, row in enumerate(self.rows)}
        return [of[places[row]] if row in places else None for row in range(len(self.rows) + len(self.failed))]


async def judged(request: ScoreRequest, people: Sequence[str | None], digests: Sequence[str], score: Score) -> Judged:
    """Score the rows without those that a source cannot judge; ``digests`` are those of the rows' pairs.

    Raises PairsFailed where it is a baseline that cannot be judged, since every row depends on it.
    """
    rows, failed = list(range(len(digests))), dict[int, tuple[str, str]]()
    while rows:
        try:
            return Judged(rows, failed, await score(_part(request, people, rows), [people[row] for row in rows]))
        except PairsFailed as error:
            gone = {row: error.failed[digests[row]] for row in rows if digests[row] in error.failed}
            if not gone:
                raise
            failed |= gone
            rows = [row for row in rows if row not in gone]
    return Judged(rows, failed, None)


def _part(request: ScoreRequest, people: Sequence[str | None], rows: Sequence[int]) -> ScoreRequest:
    """The request with these rows alone, and the pins of their people."""
    named = {people[row] for row in rows}
    pinned = request.profile_versions and {name: v for name, v in request.profile_versions.items() if name in named}
    columns = {name: getattr(request, name) for name in ("prompts", "completions", "user_ids", "baselines")}
    fewer = {name: [of[row] for row in rows] for name, of in columns.items() if of is not None}
    return request.model_copy(update={**fewer, "profile_versions": pinned})
