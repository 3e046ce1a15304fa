"""Four times the capacity: quick refusals, accepted requests about as quick as at capacity, and soon all is normal.

Capacity is the number of clients, each with one request at a time, whose work just fits the queue. All times are from
one run on one machine and are compared with each other.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from processes import Process

pytestmark = pytest.mark.slow
CLIENTS = 8
TIMES_CAPACITY = 4
FILLED = 0.8
"""Share of the queue that fills up at capacity."""
WORDS = 40
NORMAL_AGAIN_SECONDS = 5.0
NUMBERS = itertools.count()


def request(texts: int) -> dict[str, list[str]]:
    """Texts that were never read before and that the gate lets pass."""
    names = [next(NUMBERS) for _ in range(texts)]
    written = [" ".join(f"pelican{word}of{name}" for word in range(WORDS)) for name in names]
    return {"prompts": ["Basil?"] * texts, "completions": written}


@dataclass
class Load:
    """What clients of a service saw: (status, seconds, Retry-After)."""

    seen: list[tuple[int, float, str]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def send(self, address: str, texts: int, pause: float) -> None:
        with httpx.Client(base_url=address, timeout=120) as http:
            while not self.stopped.is_set():
                start = time.monotonic()
                reply = http.post("/v1/score", json=request(texts))
                self.seen.append((reply.status_code, time.monotonic() - start, reply.headers.get("Retry-After", "")))
                if reply.status_code != 200:
                    self.stopped.wait(pause)

    def seconds(self, *statuses: int) -> list[float]:
        return [seconds for status, seconds, _ in self.seen if status in statuses]


def offered(address: str, clients: int, texts: int, seconds: float, pause: float = 0.2) -> Load:
    """What so many clients see in so much time. Each sends as soon as it is answered, or ``pause`` after a refusal."""
    load = Load()
    threads = [threading.Thread(target=load.send, args=[address, texts, pause]) for _ in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    load.stopped.set()
    for thread in threads:
        thread.join()
    return load


def texts_a_second(address: str) -> float:
    load = offered(address, CLIENTS, 4, 3)
    return 4 * len(load.seen) / sum(load.seconds(200)) * CLIENTS


def seconds_until_normal(address: str, texts: int, normal: float) -> float:
    """Seconds until a request takes no longer than is normal."""
    start = time.monotonic()
    with httpx.Client(base_url=address, timeout=120) as http:
        while time.monotonic() - start < 60:
            sent = time.monotonic()
            if http.post("/v1/score", json=request(texts)).status_code == 200 and time.monotonic() - sent <= normal:
                return time.monotonic() - start
    return float("inf")


@pytest.mark.parametrize(
    ("limit", "seconds"), [(1.0, 6), pytest.param(5.0, 60, marks=pytest.mark.soak)], ids=["short", "long"]
)
def test_overload_is_refused_and_what_is_accepted_stays_quick(
    started: Callable[..., Process], limit: float, seconds: float
) -> None:
    service = started(None, "--no-ui", KEEL_MAX_WAITING_SECONDS=str(limit))
    address = service.address
    texts = max(1, round(FILLED * limit * texts_a_second(address) / CLIENTS))
    normal = offered(address, CLIENTS, texts, max(seconds / 2, 3 * limit))
    usual = float(np.percentile(normal.seconds(200), 99))
    capacity = len(normal.seconds(200)) / (max(seconds / 2, 3 * limit) + usual)
    over = offered(address, TIMES_CAPACITY * CLIENTS, texts, seconds, CLIENTS / capacity)
    accepted = float(np.percentile(over.seconds(200), 99))
    again = seconds_until_normal(address, texts, usual)
    counts = Counter(status for status, _, _ in over.seen)
    refused = over.seconds(429, 503)
    goodput = counts[200] / (seconds + accepted)
    print(
        f"{texts} texts a request; at capacity {capacity:.1f} a second, p99 {usual:.2f} s; "
        f"at {TIMES_CAPACITY} x {dict(counts)}, {goodput:.1f} a second, accepted p99 "
        f"{accepted:.2f} s, refused p99 {np.percentile(refused, 99):.2f} s; "
        f"normal after {again:.1f} s"
    )
    assert {status for status, _, _ in normal.seen} <= {200, 503}
    assert set(counts) <= {200, 429, 503}
    assert counts[503] > counts[200]
    assert all(1 <= int(pause) <= 30 for status, _, pause in over.seen if status == 503)
    assert accepted <= 2 * usual
    assert goodput >= capacity / 2
    assert again <= NORMAL_AGAIN_SECONDS
