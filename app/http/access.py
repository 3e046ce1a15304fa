"""Which route takes which scope of a key: stated here, enforced by ``ScopedRoute``, shown in the OpenAPI document.

A scope is checked before a body is parsed. A key bound to a person reaches nobody else on any route.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.errors import Forbidden
from app.storage.keys import Grant, listed
from app.storage.registry import EVERY_SCOPE, Scope
from elicitation.errors import InvalidInput


@dataclass(frozen=True)
class Need:
    """Any one of ``scopes``; a key bound to a person may have one of ``own`` in place of them."""

    scopes: frozenset[Scope]
    own: frozenset[Scope] = frozenset()

    def met_by(self, grant: Grant) -> bool:
        """Whether a key with this grant may use the route."""
        enough = self.scopes | self.own if grant.bound_to is not None else self.scopes
        return bool(enough & grant.scopes)

    def __str__(self) -> str:
        words = "any scope" if self.scopes == EVERY_SCOPE else " or ".join(sorted(self.scopes))
        return words + (f", or {listed(self.own)} of a key bound to the person" if self.own else "")


OPEN = None
"""No key at all."""
ANY = Need(EVERY_SCOPE)
SCORE = Need(frozenset({Scope.SCORE}))
SCORE_OR_ELICIT = Need(frozenset({Scope.SCORE, Scope.ELICIT}))
ELICIT = Need(frozenset({Scope.ELICIT}))
ELICIT_OR_AUDIT = Need(frozenset({Scope.ELICIT, Scope.AUDIT}))
AUDIT = Need(frozenset({Scope.AUDIT}))
ADMIN = Need(frozenset({Scope.ADMIN}))
ADMIN_OR_OWN = Need(frozenset({Scope.ADMIN}), own=frozenset({Scope.ELICIT}))
DELEGATE = Need(frozenset({Scope.DELEGATE}))

NEEDS: dict[str, Need | None] = {
    "GET /health": OPEN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /docs": OPEN,
    "GET /openapi.json": OPEN,
    "GET /info": ANY,
    "GET /metrics": AUDIT,
    "POST /v1/score": SCORE_OR_ELICIT,
    "POST /v1/rank": SCORE_OR_ELICIT,
    "POST /v1/compare": SCORE_OR_ELICIT,
    "POST /v1/users/{user_id}/questions": ELICIT,
    "POST /v1/users/{user_id}/answers": ELICIT,
    "POST /v1/users/{user_id}/anchors": ELICIT,
    "DELETE /v1/users/{user_id}/answers/last": ELICIT,
    "GET /v1/users/{user_id}/profile": SCORE_OR_ELICIT,
    "GET /v1/users/{user_id}/audit": ELICIT_OR_AUDIT,
    "GET /v1/users/{user_id}/export": ADMIN_OR_OWN,
    "GET /v1/users/{user_id}/export/{shape}": ADMIN_OR_OWN,
    "DELETE /v1/users/{user_id}": ADMIN_OR_OWN,
    "POST /v1/users/{user_id}/keys": DELEGATE,
    "POST /v1/audits": AUDIT,
    "GET /v1/audits/latest": AUDIT,
    "GET /v1/audits/{audit_id}": AUDIT,
    "POST /v1/appeals": SCORE_OR_ELICIT,
    "GET /v1/appeals": ADMIN,
    "POST /v1/appeals/{appeal_id}/verdict": ADMIN,
}
"""By method and path. Doors take ``score``; whatever else is not listed takes ``admin``."""
OPEN_PATHS = frozenset(route.partition(" ")[2] for route, need in NEEDS.items() if need is OPEN)
SCHEMES: dict[str, Any] = {
    "HTTPBearer": {"type": "http", "scheme": "bearer"},
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""The ways to send a key, as the OpenAPI document calls them."""


class ScopedRoute(APIRoute):
    """A route that refuses keys without the scopes that it needs, before it parses a body."""

    otherwise = ADMIN

    def __init__(self, path: str, *arguments: Any, **options: Any) -> None:
        (method,) = options["methods"]
        self.need = NEEDS.get(f"{method} {path}", self.otherwise)
        extra = {**(options.pop("openapi_extra", None) or {}), **declared(self.need)}
        super().__init__(path, *arguments, **options, openapi_extra=extra)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer, need = super().get_route_handler(), self.need
        if need is OPEN:
            return answer

        async def permitted(request: Request) -> Response:
            grant: Grant = request.state.grant
            if not need.met_by(grant):
                raise Forbidden(
                    f"{request.method} {self.path} needs the scope {need}, and this key has {listed(grant.scopes)}; "
                    "keel key create --tenant NAME --scope SCOPE makes another"
                )
            require_person(grant, person_named(request))
            return await answer(request)

        return permitted


def require_person(grant: Grant, *named: str | None) -> None:
    """Raises Forbidden for a key bound to a person where somebody else is named; None names nobody."""
    if grant.bound_to is not None and any(name not in (None, grant.bound_to) for name in named):
        raise Forbidden(
            "this key is bound to one person and the request names another; name its person, or send a key that "
            "keel key create makes without --user"
        )


def agreed(*names: str | None) -> str | None:
    """The one person whom several places of a request, or of one of its rows, name; InvalidInput when they differ."""
    given = {name for name in names if name is not None}
    if len(given) > 1:
        raise InvalidInput(
            f"{len(given)} people are named where one is meant; let URL, X-User-Id, body, labels and model agree, or "
            "name one place"
        )
    return given.pop() if given else None


def person_named(request: Request) -> str | None:
    """The person of the path and of every X-User-Id."""
    return agreed(request.path_params.get("user_id"), *request.headers.getlist("x-user-id"))


def declared(need: Need | None) -> dict[str, Any]:
    """A route's security requirements: either header, and any one scope, which OpenAPI 3.1 calls a role."""
    if need is OPEN:
        return {}
    scopes = sorted(need.scopes | need.own)
    return {"security": [{scheme: [scope]} for scheme in SCHEMES for scope in scopes]}
