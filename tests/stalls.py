"""How long a service keeps its health waiting by its own work.

Other work on the machine does not count, and whatever holds the event loop or Python's lock does. A stall is the
smaller of two: the processor time of the service's process, all threads together, and the time of the reply without
what the probe and the event loop waited for a processor. The first alone would grow with whatever the encoder computes
while other work keeps the probe waiting.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

PROBE_EVERY = 0.01
"""Seconds between probes: a longer stall overlaps one of them."""


def processor_seconds(pid: int) -> float:
    """What the process has used; the number of its clock is that of clock_getcpuclockid(3) on Linux."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        pytest.skip("another process's clock can be read on Linux alone")


def queued_seconds(threads: Iterable[int]) -> float:
    """What the threads have waited for a processor."""
    try:
        return sum(int(Path(f"/proc/{thread}/schedstat").read_text().split()[1]) for thread in threads) / 1e9
    except OSError:
        pytest.skip("how long a thread waited can be read on Linux alone")


def stall(client: httpx.Client, pid: int) -> float:
    """Seconds by which the service with ``pid`` delays the reply of its health."""
    threads = (pid, threading.get_native_id())
    used, queued, start = processor_seconds(pid), queued_seconds(threads), time.monotonic()
    client.get("/health/live").raise_for_status()
    passed = time.monotonic() - start
    return min(processor_seconds(pid) - used, passed - (queued_seconds(threads) - queued))


@contextmanager
def probed(address: str, pid: int) -> Iterator[list[float]]:
    """Stalls of the service with ``pid``, one of each health reply, from the start of the block to its end."""
    stalls: list[float] = []
    faults: list[BaseException] = []
    begun, done = threading.Event(), threading.Event()

    def probe() -> None:
        try:
            with httpx.Client(base_url=address, timeout=60) as client:
                while not done.is_set():
                    stalls.append(stall(client, pid))
                    begun.set()
                    time.sleep(PROBE_EVERY)
        except BaseException as error:
            faults.append(error)
            begun.set()

    thread = threading.Thread(target=probe)
    thread.start()
    begun.wait(60)
    try:
        yield stalls
    finally:
        done.set()
        thread.join()
    for fault in faults:
        raise fault
