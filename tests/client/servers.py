"""A real server that can be stopped, started again and made to stumble."""

import asyncio
import socket
import threading
import time

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

HANG = 0
SECONDS_HUNG = 1.5


class Stumbling:
    """The service behind a list of ``faults``: statuses, or HANG, each for one scoring request. It notes ``paths``."""

    def __init__(self, app: ASGIApp, faults: list[int], paths: list[str]) -> None:
        self._app, self._faults, self._paths = app, faults, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._paths.append(scope.get("path", ""))
        fault = self._faults.pop(0) if scope.get("path") == "/v1/score" and self._faults else None
        if fault is None:
            await self._app(scope, receive, send)
        elif fault == HANG:
            await asyncio.sleep(SECONDS_HUNG)
            await JSONResponse({"detail": "too late"}, 503)(scope, receive, send)
        else:
            await JSONResponse({"detail": "busy"}, fault, {"Retry-After": "0"})(scope, receive, send)


class Server:
    """The service at one address, over one data folder; ``faults`` come before its answers, ``paths`` were asked."""

    def __init__(self, settings: Settings, artifact: Artifact, encoder: Encoder) -> None:
        self._settings, self._artifact, self._encoder = settings, artifact, encoder
        self.faults: list[int] = []
        self.paths: list[str] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        engine = Engine(self._artifact, lambda: self._encoder, cache_vectors=1000, cache_items=1000)
        app = Stumbling(create_app(self._settings, open_store(self._settings), engine), self.faults, self.paths)
        self._server = uvicorn.Server(uvicorn.Config(app, port=self._port, log_config=None, access_log=False))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
