"""The server in front of the service: uvicorn, one process, and what it lacks for standing alone."""

import gc

import uvicorn

from app.scoring.engine import Engine


class Server(uvicorn.Server):
    """Serves until interrupted or terminated.

    Once the encoder is loaded, everything in memory stays until the end. It is taken out of the garbage collector's
    sight: a full collection over it stops every request for tenths of a second, and large bodies bring one about.
    """

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine, self._settled = engine, False

    async def on_tick(self, counter: int) -> bool:
        if not self._settled and self._engine.ready:
            gc.collect()
            gc.freeze()
            self._settled = True
        return await super().on_tick(counter)
