"""Texts that wait to be encoded: counted in tokens, and tenants take turns.

A turn is one batch of a tenant's texts, or one step of a batch that takes several. So a tenant with one short text
waits for one step of every other tenant, however much the others have sent. Within a tenant, texts that came while a
batch ran form the next batches, sorted by length so that little is padded.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from app.caller import Caller
from app.errors import Overloaded, TooManyRequests
from app.observing.metrics import QUEUE_REFUSALS

TEXTS_PER_BATCH = 128
TOKENS_PER_BATCH = 16_384
BYTES_PER_TOKEN = 3
FADING = 0.8
"""Weight of the past in the measured speed, after each batch."""
LONGEST_PAUSE = 30
"""Seconds after which a refused client may come again at the latest."""


def tokens_of(text: str) -> int:
    """An estimate that costs nothing: English has a token in 4 to 5 bytes, Chinese in 3."""
    return 1 + (len(text) if text.isascii() else len(text.encode())) // BYTES_PER_TOKEN


@dataclass(frozen=True)
class Limits:
    """Waiting texts and tokens at which new ones are refused; ``tenant_tokens`` is the limit of each tenant, if any.

    ``seconds`` limits the wait that new texts would have.
    """

    texts: int = 4_096
    tokens: int = 262_144
    tenant_tokens: int | None = None
    seconds: float = 10.0


@dataclass(eq=False)
class Waiting:
    """A text that ``wanted`` requests wait for; its turn came at ``begun`` (``time.perf_counter_ns``).

    ``tokens`` is estimated once, since it is needed at each step of its way. They count for ``payer``, whose request
    was the first to want the text.
    """

    tenant: str
    key: tuple[str, str]
    text: str
    future: asyncio.Future[Tensor]
    wanted: int = 0
    begun: int | None = None
    payer: str = ""
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = tokens_of(self.text)


@dataclass(eq=False)
class Batch:
    """Texts that are encoded together; ``steps`` is their computation once it has begun."""

    texts: Sequence[Waiting]
    steps: Iterator[Tensor | None] | None = None

    @property
    def tokens(self) -> int:
        return sum(waiting.tokens for waiting in self.texts)


@dataclass(eq=False)
class Line:
    """What one tenant waits for."""

    came: list[Waiting] = field(default_factory=list)
    sorted: deque[Waiting] = field(default_factory=deque)
    begun: Batch | None = None
    texts: int = 0
    tokens: int = 0


class Turns:
    """The lines of all tenants that wait, the next one first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._tokens, self._seconds, self._since = 0.0, 0.0, 0.0
        self._paid: Counter[str] = Counter()

    @property
    def texts(self) -> int:
        return sum(line.texts for line in self._lines.values())

    @property
    def tokens(self) -> int:
        return sum(line.tokens for line in self._lines.values())

    @property
    def wait(self) -> float:
        """Seconds until all that waits is encoded, by the measured speed; 0 before the first batch."""
        return self.tokens * self._seconds / self._tokens if self._tokens else 0.0

    @property
    def pause(self) -> int:
        """Seconds after which the queue is empty, as a client is asked to wait: 1 to 30."""
        return min(max(math.ceil(self.wait), 1), LONGEST_PAUSE)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def admit(self, caller: Caller) -> None:
        """Raises TooManyRequests at the limit of the caller's key or tenant, Overloaded when the tenant has its share
        of a full queue.

        A share is the limit divided by the number of tenants that wait: who sends much cannot keep the others out.
        """
        line, limits, remedy = self._lines.get(caller.tenant, Line()), self.limits, self._remedy
        paid = self._paid[caller.payer]
        for who, sent, most, setting in (
            ("key", paid, caller.max_tokens, "--max-tokens of keel key create"),
            ("tenant", line.tokens, limits.tenant_tokens, "KEEL_MAX_TENANT_TOKENS"),
        ):
            if most is not None and sent >= most:
                QUEUE_REFUSALS.labels(who).inc()
                raise TooManyRequests(
                    f"{sent} tokens of your {who} wait for the encoder >= limit {most}; {remedy} {setting}", self.pause
                )
        tenants = len(self._lines.keys() | {caller.tenant})
        seconds = self.wait
        own_seconds = seconds * line.tokens / max(self.tokens, 1)
        for what, own, waiting, limit, setting in (
            ("texts", line.texts, self.texts, limits.texts, "KEEL_MAX_WAITING_TEXTS"),
            ("tokens", line.tokens, self.tokens, limits.tokens, "KEEL_MAX_WAITING_TOKENS"),
            ("seconds of work", own_seconds, seconds, limits.seconds, "KEEL_MAX_WAITING_SECONDS"),
        ):
            if waiting >= limit and own * tenants >= limit:
                QUEUE_REFUSALS.labels("queue").inc()
                raise Overloaded(
                    f"{waiting:.6g} {what} wait for the encoder >= limit {limit}; {remedy} {setting}", self.pause
                )

    @property
    def _remedy(self) -> str:
        return f"try again in {self.pause} s, send fewer at a time, or raise"

    def add(self, waiting: Waiting) -> None:
        if not self._lines:
            self._since = time.monotonic()
        line = self._lines.setdefault(waiting.tenant, Line())
        line.came.append(waiting)
        line.texts += 1
        line.tokens += waiting.tokens
        self._paid[waiting.payer] += waiting.tokens

    def leave(self, waiting: Waiting) -> None:
        """The text waits no longer: it was encoded, failed, or nobody wants it."""
        line = self._lines[waiting.tenant]
        line.texts -= 1
        line.tokens -= waiting.tokens
        self._paid[waiting.payer] -= waiting.tokens
        if not self._paid[waiting.payer]:
            del self._paid[waiting.payer]
        if not line.texts:
            del self._lines[waiting.tenant]

    def next(self) -> Batch:
        """The batch whose turn it is. There must be texts."""
        line = next(iter(self._lines.values()))
        if line.begun is None or not any(text.wanted for text in line.begun.texts):
            line.begun = Batch(_taken(line))
        return line.begun

    def step(self, batch: Batch) -> None:
        """A step of the batch is done; its tenant goes behind all that came meanwhile."""
        if batch.texts[0].tenant in self._lines:
            self._lines.move_to_end(batch.texts[0].tenant)

    def end(self, batch: Batch) -> None:
        """Forget a batch whose last step is done; its texts leave."""
        self._measure(batch)
        for waiting in batch.texts:
            if line := self._lines.get(waiting.tenant):
                line.begun = None
            if waiting.wanted:
                self.leave(waiting)

    def _measure(self, batch: Batch) -> None:
        """Take the batch into the speed, with the time since the last one ended, or since the queue was empty."""
        now = time.monotonic()
        self._tokens = FADING * self._tokens + batch.tokens
        self._seconds = FADING * self._seconds + now - self._since
        self._since = now


def _taken(line: Line) -> list[Waiting]:
    if not any(waiting.wanted for waiting in line.sorted):
        line.sorted = deque(sorted((text for text in line.came if text.wanted), key=lambda text: len(text.text)))
        line.came = []
    taken: list[Waiting] = []
    tokens = 0
    while line.sorted and len(taken) < TEXTS_PER_BATCH:
        tokens += line.sorted[0].tokens
        if taken and tokens > TOKENS_PER_BATCH:
            break
        waiting = line.sorted.popleft()
        if waiting.wanted:
            taken.append(waiting)
    return taken
