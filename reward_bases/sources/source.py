"""What a source is: something that gives named columns for (conversation, response) pairs.

Base rewards are weighted sums of columns, whatever the columns come from: counts of words, a sentence encoder, a reward
model, a judge, a service, a function of the deployer's own. To add one, write a class with the attributes of
``Source``; nothing else in Keel has to know of it.

1. ``columns`` reads all pairs of a call together, so that a model can batch them and a service can be asked at once. It
   never blocks the event loop: a long computation runs in a thread, a service is awaited.
2. A row follows from its pair alone. The same pair has the same row in any company and in any order.
3. ``version`` changes with everything that a row depends on: weights, code, templates, rubrics. It never depends on
   addresses or keys. Caches trust it, and the card of a basis pins it.
4. A pair that cannot be read is reported in ``Columns.failed`` with a reason, never as 0 or a mean. Its values
   are ignored. An exception is for the case that nothing can be read at all.
5. A source in ``reward_bases`` computes on this machine. A source that needs a network, a clock, retries, secrets or a
   cache lives in ``app/sources``, and may wrap one of these.

``tests/source_contract.py`` checks names, order and points 2 and 3 on any source; call ``check_source`` with yours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from torch import Tensor

from reward_bases.text import Conversation, digest


@dataclass(frozen=True)
class Pair:
    """A response and the conversation that it answers."""

    conversation: Conversation
    response: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of both, 64 hex digits."""
        return digest(self.conversation.digest + digest(self.response))


@dataclass(frozen=True, eq=False)
class Columns:
    """``values`` (n, f) float64 of n pairs; ``failed`` maps the row of each pair that could not be read to a reason."""

    values: Tensor
    failed: Mapping[int, str] = field(default_factory=dict)


class Source(Protocol):
    """Gives the columns ``names`` (f,) of pairs; ``kind`` names it in messages."""

    @property
    def kind(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def version(self) -> str: ...

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """The columns (n, f) of n pairs, in their order; n may be 0."""
        ...


class Wrapped:
    """Base of a source around another, which gives its kind, names and version; ``columns`` is left to write."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def kind(self) -> str:
        return self._source.kind

    @property
    def names(self) -> tuple[str, ...]:
        return self._source.names

    @property
    def version(self) -> str:
        return self._source.version
