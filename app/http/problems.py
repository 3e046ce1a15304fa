"""Every error reply as RFC 9457 problem+json: ``{type, title, status, detail, errors?}``, with none of our insides."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.errors import status_of
from elicitation.errors import KeelError

MEDIA_TYPE = "application/problem+json"
SHOWN_CHARS = 60
SHAPE = "shape:"
"""How the tags of bodies begin that share a path; no field of a request does."""
STATUS_HEADERS: dict[int, dict[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="keel"'},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
}
UNEXPECTED = "an unexpected error; the service's log has its place, retry or report it"
REMEDIES = {"extra_forbidden": "unknown field, remove it", "missing": "required, add it"}


def problem(
    status: int, detail: str, errors: Sequence[Mapping[str, str]] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The one shape of an error reply."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"detail": detail} | ({"errors": list(errors)} if errors else {})
    # ASCII escapes carry any string, unpaired surrogates included.
    return Response(json.dumps(body), status, {**STATUS_HEADERS.get(status, {}), **(headers or {})}, MEDIA_TYPE)


def keel_problem(error: KeelError) -> Response:
    """The reply to an exception of ours; a fault of the service's own says no more than that."""
    status = status_of(error)
    return problem(status, str(error) if status != HTTPStatus.INTERNAL_SERVER_ERROR else UNEXPECTED)


def install(app: FastAPI) -> None:
    """Answer our exceptions, invalid requests and unknown routes with problems."""
    app.add_exception_handler(KeelError, _keel)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _keel(request: Request, error: Exception) -> Response:
    assert isinstance(error, KeelError)  # noqa: S101 - the registration above
    return keel_problem(error)


def invalid_problem(error: RequestValidationError) -> Response:
    """The reply to a request that does not have its route's shape."""
    errors = [_described(item) for item in error.errors()]
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['where']}: {first['detail']}{more}", errors)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the registration above
    return invalid_problem(error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the registration above
    detail = str(error.detail)
    if error.status_code == HTTPStatus.BAD_REQUEST:
        detail = "the body is no JSON that can be read; send an object as /docs shows it"
    elif error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        detail = f"{request.method} {request.url.path} is no route of this service; /docs lists them"
    return problem(error.status_code, detail, headers=error.headers)


def _described(item: Mapping[str, Any]) -> dict[str, str]:
    where = ".".join(str(part) for part in item["loc"] if part != "body" and not str(part).startswith(SHAPE)) or "body"
    remedy = REMEDIES.get(item["type"])
    detail = remedy or f"{item['msg']}, got {_shortened(item.get('input'))}"
    return {"where": where, "detail": detail}


def _shortened(value: object) -> str:
    shown = repr(value[:SHOWN_CHARS] if isinstance(value, str | bytes) else value)
    return shown if len(shown) <= SHOWN_CHARS + 2 else f"{shown[:SHOWN_CHARS]}…"
