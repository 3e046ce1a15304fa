"""The server in front of the service: uvicorn, one process, and what it lacks for standing alone."""

import asyncio
import gc
import socket
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.errors import NotReady
from app.http.connections import Limits, connection_class
from app.http.health import STOPPING
from app.http.service import Service
from app.settings import Settings

FILES_PER_CONNECTION = 3
"""Files that may be open for each connection: the others are for the store, the encoder and what is just accepted."""
ACCEPTED_AT_ONCE = 32
"""Connections that asyncio accepts before any of them can be refused: fewer than there are files to spare."""
QUEUED_CONNECTIONS = 1_024
"""Connections that the kernel holds until they are accepted."""

ANSWER_SECONDS = 6
"""Time after a stop in which requests under way are answered; the others then get 503."""
STOP_SECONDS = 7
"""Time after a stop in which replies are sent."""


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """The server's configuration, its limits included."""
    limits = Limits(
        head=settings.head_seconds,
        body=settings.body_seconds,
        reading=settings.body_seconds,
        connections=min(settings.max_connections, _open_files() // FILES_PER_CONNECTION),
    )
    return uvicorn.Config(
        app,
        settings.host,
        settings.port,
        http=connection_class(limits, app.state.requests),
        ws="none",
        timeout_keep_alive=settings.idle_seconds,
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=STOP_SECONDS,
        log_config=None,
        access_log=False,
    )


def _open_files() -> int:
    """The number of files that this process may have open, raised as far as its user may."""
    try:
        import resource
    except ImportError:
        return 1_024
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Server(uvicorn.Server):
    """Serves until interrupted or terminated.

    Once the encoder is loaded, everything in memory stays until the end. It is taken out of the garbage collector's
    sight: a full collection over it stops every request for tenths of a second, and large bodies bring one about.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service, self._settled = service, False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # asyncio has one number for both; listening again changes the kernel's alone.
        for one in (one for server in self.servers for one in server.sockets):
            with socket.fromfd(one.fileno(), one.family, one.type) as same:
                same.listen(QUEUED_CONNECTIONS)

    async def on_tick(self, counter: int) -> bool:
        if not self._settled and self._service.engine.ready:
            gc.collect()
            gc.freeze()
            self._settled = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.health.stopping = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        give_up = self._service.engine.encoding.give_up
        asyncio.get_running_loop().call_later(ANSWER_SECONDS, give_up, NotReady(STOPPING))
        await super().shutdown(sockets)
