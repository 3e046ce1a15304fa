"""Reports on flattery and echo chambers."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.http.access import ScopedRoute
from app.http.routes.common import Serving, Tenant, problems
from app.schemas.audits import AuditReply

router = APIRouter(prefix="/v1/audits", tags=["audits"], responses=problems(401, 403, 503), route_class=ScopedRoute)


@router.post("", status_code=201, summary="Audit", responses=problems(409, 503))
async def audit(tenant: Tenant, serving: Serving) -> AuditReply:
    """Measure all current profiles against the aggregate and store the report."""
    return await serving.auditing.run(tenant)


@router.get("/latest", summary="Latest audit", responses=problems(404))
async def latest(tenant: Tenant, serving: Serving) -> AuditReply:
    """The last stored report."""
    return await serving.auditing.stored(tenant, None)


@router.get("/{audit_id}", summary="Stored audit", responses=problems(404, 422))
async def stored(
    tenant: Tenant, serving: Serving, audit_id: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> AuditReply:
    """A stored report by its content hash."""
    return await serving.auditing.stored(tenant, audit_id)
