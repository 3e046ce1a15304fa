"""Every error reply as RFC 9457 problem+json: ``{type, title, status, detail, errors?, request_id?}``."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.errors import Temporary, status_of
from app.observing.measured import REQUEST
from elicitation.errors import KeelError, PairsFailed

MEDIA_TYPE = "application/problem+json"
SHOWN_CHARS = 60
DETAIL_CHARS = 400
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
MAX_ERRORS = 10
"""Errors of a request that its reply lists."""
SHAPE = "shape:"
"""How the tags of bodies begin that share a path; no field of a request does."""
STATUS_HEADERS: dict[int, dict[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="keel"'},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "1"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
}
UNEXPECTED = "an unexpected error; the service's log has its place, retry or report it"
REMEDIES = {"extra_forbidden": "unknown field, remove it", "missing": "required, add it"}


def problem(
    status: int,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """The one shape of an error reply; ``members`` are those of this problem alone."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"detail": detail} | ({"errors": list(errors)} if errors else {}) | dict(members or {})
    if (request := REQUEST.get()) is not None:
        body["request_id"] = request.request_id
    # ASCII escapes carry any string, unpaired surrogates included.
    return Response(json.dumps(body), status, {**STATUS_HEADERS.get(status, {}), **(headers or {})}, MEDIA_TYPE)


def keel_problem(error: KeelError) -> Response:
    """The reply to an exception of ours; a fault of the service's own says no more than that."""
    status = status_of(error)
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, Temporary) else None
    said = str(error) if status != HTTPStatus.INTERNAL_SERVER_ERROR else UNEXPECTED
    return problem(status, said, headers=headers, members=_failed(error) if isinstance(error, PairsFailed) else None)


def _failed(error: PairsFailed) -> dict[str, Any]:
    """Which source failed, and after how many seconds the request may be sent again."""
    sources = list(dict.fromkeys(source for source, _ in error.failed.values()))
    return {"source": ", ".join(sources), "retry_after": int(STATUS_HEADERS[503]["Retry-After"])}


def install(app: FastAPI) -> None:
    """Answer our exceptions, invalid requests and unknown routes with problems."""
    app.add_exception_handler(KeelError, _keel)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _keel(request: Request, error: Exception) -> Response:
    assert isinstance(error, KeelError)  # noqa: S101 - the registration above
    return keel_problem(error)


def invalid_problem(error: RequestValidationError) -> Response:
    """The reply to a request that does not have its route's shape.

    Where a value may have several shapes, the error that lies deepest is of the one that was meant.
    """
    found = sorted(error.errors(), key=lambda item: -len(item["loc"]))
    errors = [_described(item) for item in found[:MAX_ERRORS]]
    first = errors[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['where']}: {first['detail']}{more}", errors)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the registration above
    return invalid_problem(error)


def http_problem(request: Request, error: HTTPException) -> Response:
    """The reply to a body that is no JSON, and to an unknown route or method."""
    status, detail, headers = error.status_code, str(error.detail), dict(error.headers or {})
    if status == HTTPStatus.BAD_REQUEST:
        # Some such bodies fail in the decoder and others in the parser: they get one status.
        status, detail = (
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the body is no JSON in UTF-8; send an object as /docs shows it",
        )
    elif status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        detail = f"{_cut(request.method)} {_cut(request.url.path)} is no route of this service; /docs lists them"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    return problem(status, detail, headers=headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the registration above
    return http_problem(request, error)


def _allowed(request: Request) -> list[str]:
    """All methods of the request's path: several routes may share it, and each knows its own alone."""

    def answered(method: str) -> bool:
        return any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)

    return [method for method in METHODS if answered(method)]


def _described(item: Mapping[str, Any]) -> dict[str, str]:
    parts = [_cut(str(part)) for part in item["loc"] if part != "body" and not str(part).startswith(SHAPE)]
    remedy = REMEDIES.get(item["type"])
    detail = remedy or f"{_cut(item['msg'], DETAIL_CHARS)}, got {_shortened(item.get('input'))}"
    return {"where": ".".join(parts) or "body", "detail": detail}


def _shortened(value: object) -> str:
    if isinstance(value, dict | list) and value:
        return f"an object of {len(value)} members" if isinstance(value, dict) else f"a list of {len(value)} items"
    return _cut(repr(value[:SHOWN_CHARS] if isinstance(value, str | bytes) else value), SHOWN_CHARS + 2)


def _cut(text: str, characters: int = SHOWN_CHARS) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"
