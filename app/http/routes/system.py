"""Health, versions and limits in force, and metrics."""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.errors import NotFound
from app.http.access import ScopedRoute
from app.http.reference import HEADERS, reference_page
from app.http.routes.common import Serving, problems
from app.schemas.ranking import RankRule
from app.scoring.details import component_names
from elicitation.acquisition import Rule


def _version() -> str:
    try:
        return version("keel-rewards")
    except PackageNotFoundError:
        return "uninstalled"


VERSION = _version()
router = APIRouter(tags=["system"], responses=problems(), route_class=ScopedRoute)


@router.get("/health/live", summary="Alive")
async def live() -> dict[str, str]:
    """Return 200 while the process answers."""
    return {"status": "alive"}


@router.get("/health/ready", summary="Ready", responses=problems(503))
async def ready(serving: Serving) -> dict[str, str]:
    """Return 200 when answers can be stored and texts can be read; the reply is up to half a second old."""
    await serving.health.require_ready()
    return {"status": "ready"}


@router.get("/health", summary="Ready, without a body", response_class=Response, responses=problems(503))
async def health(serving: Serving) -> Response:
    """Return 200 with nothing in it when ready, as vLLM, SGLang and text-embeddings-inference do."""
    await serving.health.require_ready()
    return Response()


# Both on a thread of their own: it takes time to make the document, and to write it.
@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs", include_in_schema=False)
def reference(request: Request) -> HTMLResponse:
    """The OpenAPI document to read."""
    return HTMLResponse(reference_page(request.app.openapi()), headers=HEADERS)


@router.get("/info", summary="Versions and limits", responses=problems(401, 403))
async def info(serving: Serving) -> dict[str, Any]:
    """Return versions, heads, limits and rules in force."""
    artifact, basis = serving.engine.artifact, serving.engine.artifact.basis
    return {
        "name": "keel",
        "version": VERSION,
        "basis": str(serving.settings.basis or "shipped"),
        "basis_version": basis.version,
        "reading": basis.reading,
        "population_version": artifact.population_version,
        "bank_version": artifact.bank.version,
        "encoder": {"name": basis.encoder_name, "sha256": basis.encoder_sha256, "ready": serving.engine.ready},
        "heads": [asdict(head) for head in basis.heads],
        "components": component_names(basis),
        "choice_model": asdict(artifact.choice_model),
        "budget": asdict(serving.profiles.policy.budget),
        "question_rules": [rule.value for rule in Rule],
        "rank_rules": [rule.value for rule in RankRule],
        "limits": serving.settings.limits(),
    }


@router.get("/metrics", summary="Metrics", response_class=Response, responses=problems(401, 403, 404))
async def metrics(request: Request, serving: Serving) -> Response:
    """Prometheus text format; nothing in it names a person."""
    if serving.settings.metrics == "off":
        raise NotFound("metrics are off; KEEL_METRICS=keyed shows them to a key")
    await request.app.state.collector.refresh()
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
