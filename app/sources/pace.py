"""Calls a minute: each takes its turn, evenly spaced."""

import asyncio
import time


class Pace:
    """At most ``per_minute`` turns a minute, however many wait; None for as many as come."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    def hold(self, seconds: float) -> None:
        """No turn before so many seconds are over."""
        self._next = max(self._next, time.monotonic() + seconds)

    async def turn(self) -> None:
        """Wait for one."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._gap
        await asyncio.sleep(at - now)
