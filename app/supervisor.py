"""A process that starts the service again when it is killed: by kill -9, for want of memory, by a crash.

The service is a fork of the process that watches it, which imports all that the service needs and does nothing else. So
the next one starts in about a second, where a new interpreter would import for many.
"""

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess

PAUSES = (0, 0, 1, 2, 5, 10, 30)
"""Seconds before each start after a kill, the last one again and again."""
WELL_SECONDS = 10
"""A service that ran for so long was well: the pauses begin anew."""
STOP_SECONDS = 9
"""Time in which a service has to end that was asked to; then it is killed."""
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""
LOG = logging.getLogger("keel")


def supervise(serve: Callable[[], None], prepare: Callable[[], None]) -> int:
    """Run ``serve`` in a process until it ends by itself; its exit code.

    ``prepare`` imports here, beside each service, what that one imports too, so that the next one need not. Call this
    from the main thread, before anything starts a thread or computes with torch. Whatever is raised here, as the
    handler of a signal may do, ends the service first.
    """
    kills = 0
    while True:
        gc.freeze()
        service = multiprocessing.get_context("fork").Process(target=_serve, args=[serve])
        begun = time.monotonic()
        service.start()
        try:
            prepare()
            service.join()
        finally:
            _end(service)
        if service.exitcode is None or service.exitcode >= 0:
            return service.exitcode or 0
        kills = 0 if time.monotonic() - begun > WELL_SECONDS else kills
        pause = PAUSES[min(kills, len(PAUSES) - 1)]
        LOG.error("killed", extra={"fields": {"signal": signal.Signals(-service.exitcode).name, "pause": pause}})
        time.sleep(pause)
        kills += 1


def _serve(serve: Callable[[], None]) -> None:
    # An interrupt at the terminal reaches the supervisor alone, which then ends this process in order.
    os.setsid()
    _end_with_supervisor()
    serve()


def _end_with_supervisor() -> None:
    """The kernel kills this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    supervisor = multiprocessing.parent_process()
    if supervisor is None or os.getppid() != supervisor.pid:
        os._exit(1)


def _end(service: ForkProcess) -> None:
    service.terminate()
    try:
        service.join(STOP_SECONDS)
    finally:
        service.kill()
        service.join()
