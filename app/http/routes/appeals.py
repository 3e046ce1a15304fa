"""Appeals against the gate."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.http.access import ScopedRoute
from app.http.routes.common import FromHeader, Granted, Serving, Tenant, problems, reached
from app.schemas.appeals import AppealReply, AppealRequest, VerdictRequest
from app.scoring import bounds
from app.storage.appeals import Appeal

router = APIRouter(prefix="/v1/appeals", tags=["appeals"], responses=problems(401, 403, 503), route_class=ScopedRoute)


@router.post("", status_code=201, summary="Appeal", responses=problems(404, 409, 413, 422, 429, 503))
async def appeal(request: AppealRequest, grant: Granted, serving: Serving, header: FromHeader) -> AppealReply:
    """Ask a person to review a response that the gate rejected. Only the tenant can see the appeal."""
    settings, person = serving.settings, reached(grant, request.user_id, header) or grant.bound_to
    bounds.require_at_most("characters in one note", len(request.note or ""), "max_note_chars", settings)
    conversation = bounds.conversation(request.prompt, settings)
    (response,) = await bounds.responses([request.response], request.view, serving.engine.reading, settings)
    return reply(await serving.appeals.make(grant.tenant, person, conversation, response, request.note))


@router.get("", summary="Appeals", responses=problems(422))
async def appeals(
    tenant: Tenant,
    serving: Serving,
    everything: Annotated[bool, Query(alias="all", description="include resolved appeals")] = False,
) -> list[AppealReply]:
    """The tenant's appeals that wait for a verdict, oldest first."""
    return [reply(appeal) for appeal in await serving.appeals.pending(tenant, everything)]


@router.post("/{appeal_id}/verdict", summary="Resolve an appeal", responses=problems(404, 413, 422))
async def resolve(
    appeal_id: Annotated[str, Path(max_length=128)], request: VerdictRequest, tenant: Tenant, serving: Serving
) -> AppealReply:
    """Uphold or overturn a rejection. An overturned response passes the gate from then on, for this tenant."""
    return reply(await serving.appeals.resolve(tenant, appeal_id, request.verdict))


def reply(appeal: Appeal) -> AppealReply:
    """An appeal on the wire."""
    return AppealReply(
        appeal_id=appeal.appeal_id,
        user_id=appeal.user_id,
        prompt=list(appeal.conversation),
        response=appeal.response,
        reasons=appeal.reasons,
        note=appeal.note,
        made_at=appeal.made_at,
        verdict=appeal.verdict,
        resolved_at=appeal.resolved_at,
    )
