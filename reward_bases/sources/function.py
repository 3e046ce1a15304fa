"""Kind ``function``: a function of the deployer's own, named ``package.module:function``.

    def cites(conversations, responses): return {"cites": [float("http" in response) for response in responses]}

    cites.names, cites.version = ("cites",), "1"

It takes n conversations, each a list of messages ``{"role", "content"}``, and n responses. It gives n numbers for each
of its ``names``, None where it does not know. It may be async; else it runs in a thread. Its ``version`` is declared:
change it with whatever the numbers depend on. Nothing but a function that declares both is ever called.
"""

import asyncio
import importlib
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from elicitation.errors import InvalidInput, SourceFailed
from reward_bases.sources.source import Columns, Pair

Numbers = Mapping[str, Sequence[float | None]]
Function = Callable[[list[list[dict[str, str]]], list[str]], Numbers | Awaitable[Numbers]]

UNKNOWN = "the function does not know"
NOT_FINITE = "the function gave no finite number"


@dataclass(frozen=True)
class FunctionSource:
    """The columns that the ``function`` at ``place`` computes."""

    place: str
    function: Function
    names: tuple[str, ...]
    declared: str
    kind: str = "function"

    @classmethod
    def load(cls, place: str) -> "FunctionSource":
        """Raises InvalidInput where ``place`` names no function that declares ``names`` and ``version``."""
        module, _, name = place.partition(":")
        try:
            function: Any = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise InvalidInput(
                f"function {place!r} cannot be imported ({type(error).__name__}: {error}); name it "
                "package.module:function, and install its package where Keel runs"
            ) from error
        names, version = getattr(function, "names", ()), getattr(function, "version", None)
        if not (callable(function) and names and isinstance(version, str) and version):
            raise InvalidInput(
                f"function {place!r} declares no names and version; set {name}.names, a tuple of column names, and "
                f"{name}.version, a text that changes with what it computes"
            )
        return cls(place, function, tuple(names), version)

    @property
    def version(self) -> str:
        return f"{self.place} {self.declared}"

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, f) float64; a row with an unknown number has failed. Raises SourceFailed for numbers of another shape."""
        if not pairs:
            return Columns(torch.zeros(0, len(self.names), dtype=torch.float64))
        asked = [[{"role": m.role, "content": m.content} for m in pair.conversation.messages] for pair in pairs]
        said = [pair.response for pair in pairs]
        if inspect.iscoroutinefunction(self.function):
            found = await self.function(asked, said)
        else:
            found = await asyncio.to_thread(self.function, asked, said)
        return self._columns(found, len(pairs))

    def _columns(self, found: Numbers, n: int) -> Columns:
        given = {name: len(found[name]) for name in self.names if name in found}
        if given != dict.fromkeys(self.names, n):
            raise SourceFailed(
                f"function {self.place} gave {given or 'nothing'} for {n} pairs; it must give {n} numbers, or None, "
                f"for each of {', '.join(self.names)}"
            )
        rows = [[found[name][row] for name in self.names] for row in range(n)]
        failed = {row: reason for row, values in enumerate(rows) if (reason := _reason(values))}
        whole = [[0.0] * len(self.names) if row in failed else values for row, values in enumerate(rows)]
        return Columns(torch.tensor(whole, dtype=torch.float64).reshape(n, len(self.names)), failed)


def _reason(values: Sequence[float | None]) -> str | None:
    """Why a row has no values, or None."""
    if any(value is None for value in values):
        return UNKNOWN
    return None if all(math.isfinite(value) for value in values if value is not None) else NOT_FINITE
