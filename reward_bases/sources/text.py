"""Kind ``text``: the surface features of a response and its relation to the last user turn (``surface.py``).

The columns are SURFACE_NAMES, then RELATION_NAMES, in the units stated there. They need no model. The version is a
digest of the code that computes them.
"""

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import torch

from reward_bases.reading import each
from reward_bases.sources import lexicon, surface
from reward_bases.sources.source import Columns, Pair

TEXT_NAMES = surface.SURFACE_NAMES + surface.RELATION_NAMES


@cache
def code_digest(*modules: ModuleType) -> str:
    """12 hex digits of the SHA-256 of the modules' source code."""
    return hashlib.sha256("".join(map(inspect.getsource, modules)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class TextSource:
    """Columns that follow from the two texts alone."""

    kind: str = "text"
    names: tuple[str, ...] = TEXT_NAMES

    @property
    def version(self) -> str:
        return code_digest(surface, lexicon)

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, f) float64; milliseconds of computation per pair, in a thread."""
        rows = await each(_row, pairs)
        return Columns(torch.tensor(rows, dtype=torch.float64).reshape(len(rows), len(TEXT_NAMES)))


def _row(pair: Pair) -> list[float]:
    return surface.surface(pair.response) + surface.relation(pair.conversation.last_user, pair.response)
