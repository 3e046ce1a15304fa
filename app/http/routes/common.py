"""Dependencies of routes: the caller, the service, and the error replies.

Dependencies are coroutines: FastAPI would run plain functions on another thread.
"""

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from app.http.service import Service
from app.schemas.base import USER_ID, USER_ID_HELP, ProblemReply, ProfileVersion
from app.storage.store import PersonKey
from elicitation.errors import InvalidInput

ANYWHERE = (400, 408, 421)
MEANING = {
    400: "the request is no HTTP/1.1 that can be read, or its length contradicts itself",
    408: "the request did not arrive in time",
    421: "the request, or the page that sent it, names a host that is not the service's",
    401: "a key is needed and none valid was sent",
    410: "the version was retired after the erasure of a person it was learned from",
    404: "no such person, question, version or audit",
    409: "the request contradicts what is stored; nothing was changed",
    413: "the body is over the limit",
    422: "the request cannot be used; nothing was changed",
    429: "too much of the tenant's own waits already; see Retry-After",
    503: "the service is not ready; see Retry-After",
}


SECONDS = {"description": "seconds to wait", "required": True, "schema": {"type": "integer", "minimum": 0}}
SCHEME = {"description": "how to send a key", "required": True, "schema": {"type": "string"}}
HEADERS = {401: {"WWW-Authenticate": SCHEME}, 429: {"Retry-After": SECONDS}, 503: {"Retry-After": SECONDS}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI texts of a route's error replies, and of those that stand before every route."""
    content = {"application/problem+json": {"schema": ProblemReply.model_json_schema()}}
    return {
        status: {"description": MEANING[status], "content": content, "headers": HEADERS.get(status, {})}
        for status in (*ANYWHERE, *statuses)
    }


async def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def tenant_of(
    request: Request,
    _bearer: Annotated[object, Security(HTTPBearer(auto_error=False))],
    _header: Annotated[object, Security(APIKeyHeader(name="X-API-Key", auto_error=False))],
) -> str:
    """The tenant of the request's key. The parameters put both ways of sending a key into the documentation."""
    tenant: str = request.state.tenant
    return tenant


Tenant = Annotated[str, Depends(tenant_of)]


async def named_person(
    tenant: Tenant,
    user_id: Annotated[str, Path(pattern=USER_ID, description=USER_ID_HELP)],
    x_user_id: Annotated[str | None, Header(description="person; if sent, it must agree with the path")] = None,
) -> PersonKey:
    """The person of a path."""
    return PersonKey(tenant, agreed(user_id, x_user_id) or user_id)


async def header_person(
    request: Request,
    x_user_id: Annotated[str | None, Header(pattern=USER_ID, description="person, if the body names nobody")] = None,
) -> str | None:
    """The person of the header, or of a URL that begins with /u/{user_id}."""
    return agreed(request.path_params.get("user_id"), x_user_id)


def agreed(*names: str | None) -> str | None:
    """The one person named in several places; InvalidInput when they differ."""
    given = {name for name in names if name is not None}
    if len(given) > 1:
        raise InvalidInput(f"the request names {len(given)} people in different places; name one, or drop X-User-Id")
    return given.pop() if given else None


Version = Annotated[ProfileVersion | None, Query()]
Serving = Annotated[Service, Depends(service_of)]
Named = Annotated[PersonKey, Depends(named_person)]
FromHeader = Annotated[str | None, Depends(header_person)]
