"""From pairs to φ, the only way: the columns of all sources side by side, then the heads of a basis.

    pairs, read by the basis's rule → columns (n, F) → clipped to the taught range → φ (n, K) = (W f − μ)/s

``phi_of`` ends at φ. ``columns_of`` ends at the columns, for training, which has no heads yet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation.errors import ArtifactMismatch, PairsFailed, SourceFailed
from reward_bases.basis import Basis
from reward_bases.sources.source import Columns, Pair, Source

SHOWN = 5
"""Failed rows that a message names."""


@dataclass(frozen=True, eq=False)
class Phi:
    """``phi`` (n, K) of n pairs, in spreads; ``refits`` (n, S, K) is φ by each of the basis's ensemble of heads."""

    phi: Tensor
    refits: Tensor


async def phi_of(pairs: Sequence[Pair], basis: Basis, sources: Sequence[Source]) -> Phi:
    """φ of n pairs by ``sources``, in the order in which the basis weighs their columns.

    Of a response is read what the basis's reading rule says.
    Raises SourceFailed when a source could not read a row, ArtifactMismatch when the basis weighs other columns.
    """
    width = sum(len(source.names) for source in sources)
    if width != basis.weights.shape[1]:
        raise ArtifactMismatch(
            f"basis {basis.version} weighs {basis.weights.shape[1]} columns, its sources "
            f"{', '.join(source.kind for source in sources)} give {width}; use the sources it was learned on"
        )
    read = [replace(pair, response=basis.reading.of_text(pair.response)) for pair in pairs]
    columns = await columns_of(read, sources)
    return await asyncio.to_thread(lambda: Phi(basis.phi(columns), basis.refits(columns)))


async def columns_of(pairs: Sequence[Pair], sources: Sequence[Source]) -> Tensor:
    """The columns (n, F) float64 of n pairs, read by all sources at the same time; raises SourceFailed.

    Where one source fails, the others need not go on.
    """
    readings = [asyncio.ensure_future(source.columns(pairs)) for source in sources]
    try:
        found = await asyncio.gather(*readings)
    finally:
        for reading in readings:
            reading.cancel()
    _require_read(pairs, sources, found)
    return torch.cat([columns.values for columns in found], dim=1)


def _require_read(pairs: Sequence[Pair], sources: Sequence[Source], found: Sequence[Columns]) -> None:
    failed: dict[str, tuple[str, str]] = {}
    messages = []
    for source, columns in zip(sources, found, strict=True):
        if columns.failed:
            messages.append(_unread(source, columns.failed, len(pairs)))
            failed |= {pairs[row].digest: (source.kind, reason) for row, reason in columns.failed.items()}
        else:
            _require_shape(source, columns, len(pairs))
    if failed:
        raise PairsFailed(messages[0], failed)


def _unread(source: Source, failed: Mapping[int, str], n: int) -> str:
    rows = sorted(failed)
    more = ", …" if len(rows) > SHOWN else ""
    return (
        f"source {source.kind} could not read {len(rows)} of {n} pairs, row {', '.join(map(str, rows[:SHOWN]))}"
        f"{more}: {failed[rows[0]]}; try again, or leave these rows out"
    )


def _require_shape(source: Source, columns: Columns, n: int) -> None:
    if columns.values.shape != (n, len(source.names)):
        raise SourceFailed(
            f"source {source.kind} gave values of shape {tuple(columns.values.shape)} for {n} pairs and "
            f"{len(source.names)} columns; mend the source"
        )
