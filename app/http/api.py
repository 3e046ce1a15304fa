"""The HTTP service: ``create_app(settings, store, engine)`` and the store and engine of the embedded default."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry, ProcessCollector

from app.audit.state import WatchedAudits
from app.http import problems
from app.http.admission import KnownHosts, RequireKey
from app.http.collector import ServiceCollector
from app.http.document import document
from app.http.middleware import LOG, BodyLimit, RequestLog, Requests
from app.http.routes import appeals, audits, doors, people, scoring, system
from app.http.service import Service
from app.observing.metrics import METRICS
from app.observing.spans import open_spans
from app.profiles.basis import open_artifact, open_encoder
from app.scoring.engine import Engine
from app.settings import Settings
from app.sources.turns import Limits
from app.storage.judgments import FILE, Judgments
from app.storage.opening import open_store
from app.storage.store import Store
from reward_bases.artifact import DEFAULT, Artifact

DESCRIPTION = """
Keel learns what one person wants from a language model in about ten questions (people), scores and ranks answers
for that person (scoring) and keeps the score from drifting into flattery (audits). Rewards are in nats. Errors
are RFC 9457 problem+json everywhere.
"""


PAUSES = (1, 1, 2, 5, 10, 30)
"""Seconds between attempts to load the encoder."""
SWITCH_SECONDS = 0.0005
"""A thread gives Python's lock to those that wait for it after this time; by default after ten times as long.

The encoder takes the lock hundreds of times in one step, and each time it would wait for the threads that read texts.
"""


NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, auto_configure=False)
"""FastAPI's own, which a variable of the environment turns on, sends paths and invalid values: people and texts."""


def create_app(settings: Settings, store: Store, engine: Engine, folder: Path | None = None) -> FastAPI:
    """The service over any store and engine; both are opened and closed with it.

    The store keeps the artifact that lies in ``folder``, so that its profile versions can be pinned after a change.
    """

    spans = open_spans(settings.otlp_url, system.VERSION)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_SECONDS)
        await store.open()
        await app.state.service.archive.open(folder)
        # The encoder loads while the service already answers what needs no encoder.
        loading = asyncio.create_task(_load(engine))
        yield
        loading.cancel()
        await asyncio.wait([loading])
        if spans is not None:
            await asyncio.to_thread(spans.close)
        await engine.close()
        await store.close()

    app = FastAPI(
        title="Keel",
        version=system.VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.state.service = Service.of(settings, store, engine)
    app.state.registry = registry = CollectorRegistry()
    app.state.collector = ServiceCollector(app.state.service, WatchedAudits(store), system.VERSION)
    app.state.requests = Requests(registry)
    for collector in (*METRICS, app.state.collector):
        registry.register(collector)
    ProcessCollector(registry=registry)
    for router in doors.ROUTERS:
        app.include_router(router)
    for module in (people, scoring, audits, appeals, system):
        app.include_router(module.router)
    for router in (*doors.ROUTERS, scoring.router):
        app.include_router(router, prefix="/u/{user_id}", include_in_schema=False)
    problems.install(app)
    local = settings.metrics == "loopback"
    ensemble = len(engine.artifact.basis.ensemble) > 0
    app.openapi = partial(document, app, settings.limits(), ensemble, local)  # type: ignore[method-assign]
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, max_values=settings.max_values)
    admission = {"keys": app.state.service.keys, "local_metrics": local, "share_caches": settings.share_caches}
    app.add_middleware(RequireKey, **admission)
    app.add_middleware(KnownHosts, hosts=settings.hosts)
    app.add_middleware(RequestLog, requests=app.state.requests, spans=spans)
    return app


async def _load(engine: Engine) -> None:
    """Load the encoder. While it cannot be loaded the service stays alive and is not ready, and the log says why."""
    for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
        try:
            await engine.start()
        except Exception as error:
            LOG.error("encoder", extra={"fields": {"exception": type(error).__name__, "detail": str(error)}})
            await asyncio.sleep(pause)
        else:
            return


def default_engine(settings: Settings, artifact: Artifact | None = None) -> Engine:
    """The engine over an artifact, by default the one of the settings, and the encoder it was learned on.

    A basis of the user's own is tried out at once, encoder and sources included; the one shipped loads its encoder
    later.
    """
    served = artifact or open_artifact(settings.basis)
    load = partial(open_encoder, served, settings.basis)
    waiting = Limits(
        settings.max_waiting_texts,
        settings.max_waiting_tokens,
        settings.max_tenant_tokens,
        settings.max_waiting_seconds,
    )
    sizes = (settings.cache_vectors, settings.cache_items, waiting)
    if settings.basis is not None:
        encoder = load()
        engine = Engine(served, lambda: encoder, *sizes, Judgments(settings.data_dir / FILE))
        engine.open_sources()
        return engine
    return Engine(served, load, *sizes)


def default_app(settings: Settings) -> FastAPI:
    """The store and the artifact that the settings name, and the encoder that the artifact names."""
    engine = default_engine(settings)
    return create_app(settings, open_store(settings), engine, settings.basis or DEFAULT)
