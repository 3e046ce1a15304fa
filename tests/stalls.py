"""How long a service keeps its health waiting by its own work.

Measured in processor time of the service's process, all threads together: other work on the machine does not count, and
whatever holds the event loop or Python's lock does.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def probed(address: str, pid: int) -> Iterator[list[float]]:
    """Processor seconds of ``pid`` during each health reply, from the start of the block to its end."""
    stalls: list[float] = []
    faults: list[BaseException] = []
    begun, done = threading.Event(), threading.Event()

    def probe() -> None:
        try:
            with httpx.Client(base_url=address, timeout=60) as client:
                while not done.is_set():
                    start = processor_seconds(pid)
                    client.get("/health/live").raise_for_status()
                    stalls.append(processor_seconds(pid) - start)
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
