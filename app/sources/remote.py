"""A service over HTTP that takes JSON and answers JSON: in time, not too often, again where that may help.

A call that fails is tried again after a pause that doubles, drawn evenly below it ("full jitter", M. Brooker, 2015,
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), or as long as ``Retry-After`` says. Where
a call has failed in every try while no other succeeded, all that wait fail at once for SHUT_SECONDS: thousands of rows
do not each wait for a service that is away.

Each call has a connection of its own: sources are used by several event loops, one after another, and a call of a
model takes far longer than a connection. The key is in the header alone; messages carry neither it nor the reply.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from ssl import SSLContext
from typing import Any, TypeVar

import httpx

from app.errors import CallFailed, CallRefused, ClientGone, Missing
from app.sources.pace import Pace
from app.sources.spent import Purse

LOG = logging.getLogger("keel")
T = TypeVar("T")
MOST_BYTES = 1 << 20
"""Of a reply."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before another try."""
SHUT_SECONDS = 5.0
REFUSALS = (400, 422, 501)
"""Statuses of a request that the service does not take in this form."""
OPTIONS = (b"response_format", b"json_schema", b"logprobs")
"""A server that fails on one of these names it, whatever the status."""
JITTER = random.SystemRandom()


@dataclass(frozen=True)
class Limits:
    """Seconds of one try, calls at a time, calls a minute (None for any number), and tries after the first."""

    timeout: float
    concurrency: int
    per_minute: float | None
    retries: int


class Remote:
    """The service at ``url``; ``purse`` counts its calls and seconds."""

    def __init__(self, url: str, key: str | None, limits: Limits, purse: Purse) -> None:
        self.limits = limits
        self.purse = purse
        self._url, self._pace = url, Pace(limits.per_minute)
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shut: tuple[float, Missing] | None = None
        self._succeeded = 0.0

    @property
    def pause(self) -> float:
        """Seconds for which all calls fail at once; 0 if they do not."""
        return max(0.0, self._shut[0] - time.monotonic()) if self._shut else 0.0

    async def ask(self, body: Mapping[str, Any], read: Callable[[Any], T], wanted: Callable[[], bool]) -> T:
        """What ``read`` makes of the reply to ``body``.

        Raises CallFailed after the last try, CallRefused for a request of a form that is not taken, and ClientGone
        where it is not ``wanted`` any longer. ``read`` raises CallFailed for a reply that it cannot use.
        """
        async with self._turns:
            began, tried = time.monotonic(), 0
            while True:
                self._require_sense(wanted)
                await self._pace.turn()
                try:
                    found = await self._try(body, read)
                except CallFailed as error:
                    if error.final or tried == self.limits.retries or error.seconds > LONGEST_PAUSE:
                        self._shut_for(error, began)
                        raise
                    await self._pause(error, tried)
                    tried += 1
                else:
                    self._succeeded, self._shut = time.monotonic(), None
                    return found

    @property
    def _turns(self) -> asyncio.Semaphore:
        # A semaphore belongs to an event loop, and a command runs several, one after another.
        if self._loop is not (loop := asyncio.get_running_loop()):
            self._loop, self._semaphore = loop, asyncio.Semaphore(self.limits.concurrency)
        return self._semaphore

    def _require_sense(self, wanted: Callable[[], bool]) -> None:
        if not wanted():
            raise ClientGone("nobody waits for this call any longer; it was not sent")
        if self._shut is not None and self.pause:
            raise CallFailed("it has just failed in every try", self._shut[1])

    def _shut_for(self, error: CallFailed, began: float) -> None:
        if error.reason != "malformed" and self._succeeded < began:
            self._shut = time.monotonic() + max(SHUT_SECONDS, min(error.seconds, LONGEST_PAUSE)), error.reason
            LOG.warning("source", extra={"fields": {"reason": error.reason, "detail": str(error)}})

    async def _pause(self, error: CallFailed, tried: int) -> None:
        if error.seconds:
            self._pace.hold(error.seconds)
        await asyncio.sleep(max(error.seconds, JITTER.uniform(0, min(FIRST_PAUSE * 2**tried, LONGEST_PAUSE))))

    async def _try(self, body: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        start = time.monotonic()
        try:
            async with asyncio.timeout(self.limits.timeout):
                content = await self._content(body)
        except TimeoutError:
            raise CallFailed(f"no reply within {self.limits.timeout:g} s; raise timeout", "timeout") from None
        finally:
            self.purse.spend(calls=1, seconds=time.monotonic() - start)
        try:
            return read(json.loads(content))
        except (ValueError, RecursionError):
            raise CallFailed("the reply cannot be read", "malformed") from None

    async def _content(self, body: Mapping[str, Any]) -> bytes:
        client = httpx.AsyncClient(headers=self._headers, timeout=None, verify=self._certificates)  # noqa: S113
        request = client.build_request("POST", self._url, content=json.dumps(body))
        async with client:
            try:
                reply = await client.send(request, stream=True)
            except httpx.HTTPError as error:
                raise CallFailed(f"no connection ({type(error).__name__})", "down") from None
            try:
                content = await _read(reply)
            except httpx.HTTPError as error:
                raise CallFailed(f"half a reply ({type(error).__name__})", "malformed") from None
            finally:
                await reply.aclose()
        _require_success(reply, content)
        return content

    @cached_property
    def _certificates(self) -> SSLContext:
        return httpx.create_ssl_context()


async def _read(reply: httpx.Response) -> bytes:
    content = b""
    async for chunk in reply.aiter_bytes():
        content += chunk
        if len(content) > MOST_BYTES:
            raise CallFailed(f"the reply has more than {MOST_BYTES} bytes", "malformed")
    return content


def _require_success(reply: httpx.Response, content: bytes) -> None:
    status, seconds = reply.status_code, _seconds(reply.headers.get("Retry-After", ""))
    if reply.is_success:
        return
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise CallFailed(f"status {status}", "rate", seconds)
    if status in REFUSALS or any(option in content for option in OPTIONS):
        raise CallRefused(f"status {status}")
    again = reply.is_server_error or status == httpx.codes.REQUEST_TIMEOUT
    raise CallFailed(f"status {status}", "down", seconds, final=not again)


def _seconds(retry_after: str) -> float:
    """Of the header, a number of seconds or a date (RFC 9110, 10.2.3); 0 where it says neither."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
