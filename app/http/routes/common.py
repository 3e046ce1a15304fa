"""Dependencies of routes: the caller, the service, and the error replies.

Dependencies are coroutines: FastAPI would run plain functions on another thread.
"""

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request

from app.http.access import agreed, person_named, require_person
from app.http.service import Service
from app.schemas.base import USER_ID, ProblemReply, ProfileVersion
from app.storage.keys import Grant
from app.storage.store import USER_ID_HELP, PersonKey

ANYWHERE = (400, 408, 421)
MEANING = {
    400: "the request is no HTTP/1.1 that can be read, or its length contradicts itself",
    408: "the request did not arrive in time",
    421: "the request, or the page that sent it, names a host that is not the service's",
    401: "a key is needed and none valid was sent",
    403: "the key lacks a scope that the route needs, or is bound to another person",
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


async def grant_of(request: Request) -> Grant:
    """What the request's key allows."""
    grant: Grant = request.state.grant
    return grant


async def tenant_of(request: Request) -> str:
    """The tenant of the request's key."""
    tenant: str = request.state.grant.tenant
    return tenant


async def header_person(
    request: Request,
    x_user_id: Annotated[
        str | None, Header(pattern=USER_ID, description="person; all places that name one must agree")
    ] = None,
) -> str | None:
    """The person of the header, or of a URL that names one."""
    return person_named(request)


Granted = Annotated[Grant, Depends(grant_of)]
Tenant = Annotated[str, Depends(tenant_of)]
FromHeader = Annotated[str | None, Depends(header_person)]


async def named_person(
    tenant: Tenant, user_id: Annotated[str, Path(pattern=USER_ID, description=USER_ID_HELP)], header: FromHeader
) -> PersonKey:
    """The person of a path."""
    return PersonKey(tenant, user_id)


def reached(grant: Grant, *names: str | None) -> str | None:
    """The one person whom all places name; Forbidden where the key does not reach them."""
    person = agreed(*names)
    require_person(grant, person)
    return person


Version = Annotated[ProfileVersion | None, Query()]
Serving = Annotated[Service, Depends(service_of)]
Named = Annotated[PersonKey, Depends(named_person)]
