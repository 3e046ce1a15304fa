"""What sources have cost: counted for each source, and for each request that wants to know."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Spent:
    """``calls`` sent, judgments found ``cached``, ``tokens`` as the service counts them, ``seconds`` of waiting."""

    calls: int = 0
    cached: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def add(self, calls: int = 0, cached: int = 0, tokens: int = 0, seconds: float = 0.0) -> None:
        self.calls += calls
        self.cached += cached
        self.tokens += tokens
        self.seconds += seconds


SPENDING: ContextVar[Spent | None] = ContextVar("spending", default=None)


@contextmanager
def spending() -> Iterator[Spent]:
    """What is spent inside; a call that several requests wait for is counted for the first of them."""
    spent = Spent()
    entered = SPENDING.set(spent)
    try:
        yield spent
    finally:
        SPENDING.reset(entered)


class Purse:
    """Adds up what one source spends in ``total``."""

    def __init__(self) -> None:
        self.total = Spent()

    def spend(self, calls: int = 0, cached: int = 0, tokens: int = 0, seconds: float = 0.0) -> None:
        """Count it for the source, and for the request under way."""
        for spent in filter(None, (self.total, SPENDING.get())):
            spent.add(calls, cached, tokens, seconds)
