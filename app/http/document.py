"""The OpenAPI document: what FastAPI writes, with the limits in force and links.

A link says which request takes what a reply gives: OpenAPI 3.1, section 4.8.20.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple

from fastapi import FastAPI

from app.http.access import SCHEMES
from app.schemas.base import BEYOND, SETTING

CHARACTERS = "_chars"
"""Settings whose names end so bound a text, the others a list."""
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
ENSEMBLE_RULE = "brme"
PERSON = "/v1/users/{user_id}"
SAME_PERSON = {"path.user_id": "$request.path.user_id"}
ANSWER = {"question_id": "$response.body#/question_id", "choice": "left"}
RATING = {"question_id": "$response.body#/question_id", "side": "left", "level": "acceptable"}


MAKING = Lock()
"""Held while a document is made: routes run on threads, and what FastAPI writes is changed afterwards."""


class Link(NamedTuple):
    """From the reply ``status`` of one operation to a request of another: method and path of each."""

    source: tuple[str, str]
    status: int
    target: tuple[str, str]
    parameters: dict[str, str]
    body: dict[str, str] | None = None


LINKS = (
    *[
        Link(("post", f"{PERSON}/questions"), status, ("post", f"{PERSON}/{path}"), SAME_PERSON, body)
        for status in (200, 201)
        for path, body in (("answers", ANSWER), ("anchors", RATING))
    ],
    *[
        Link(("post", f"{PERSON}/answers"), 201, (method, f"{PERSON}{path}"), SAME_PERSON | query)
        for method, path, query in (
            ("delete", "/answers/last", {}),
            ("get", "/profile", {"query.version": "$response.body#/profile_version"}),
            ("get", "/audit", {}),
            ("get", "/export", {}),
            ("delete", "", {}),
        )
    ],
    Link(("delete", f"{PERSON}/answers/last"), 200, ("post", f"{PERSON}/answers"), SAME_PERSON, ANSWER),
    Link(("delete", f"{PERSON}/answers/last"), 200, ("get", f"{PERSON}/profile"), SAME_PERSON),
    Link(("post", "/v1/audits"), 201, ("get", "/v1/audits/{audit_id}"), {"path.audit_id": "$response.body#/audit_id"}),
    Link(
        ("post", "/v1/appeals"),
        201,
        ("post", "/v1/appeals/{appeal_id}/verdict"),
        {"path.appeal_id": "$response.body#/appeal_id"},
        {"verdict": "overturn"},
    ),
)


def document(app: FastAPI, limits: Mapping[str, float | None], ensemble: bool, local_metrics: bool) -> dict[str, Any]:
    """The document of ``app``, made once; where a schema names a setting, its value stands beside it.

    The rule over an ensemble of heads is offered where the basis has one. A key for metrics is optional where they are
    open to this machine (``local_metrics``).
    """
    with MAKING:
        if app.openapi_schema is None:
            made = FastAPI.openapi(app)
            _limit(made, limits)
            made["components"]["securitySchemes"] = SCHEMES
            if not ensemble:
                made["components"]["schemas"]["RankRule"]["enum"].remove(ENSEMBLE_RULE)
            if local_metrics:
                made["paths"]["/metrics"]["get"]["security"].append({})
            _link(made["paths"])
    return app.openapi_schema  # type: ignore[return-value]


def _limit(part: Any, limits: Mapping[str, float | None]) -> None:
    if isinstance(part, dict) and SETTING in part:
        name = part[SETTING]
        keyword = "maxLength" if name.endswith(CHARACTERS) else "maxItems"
        part[keyword] = int(limits[name] or 0) + part.pop(BEYOND, 0)
        part[SETTING] = f"KEEL_{name.upper()}"
    if isinstance(part, dict) and part.get("type") == "integer":
        # FastAPI writes them as floating-point numbers, which are not exact for the largest seed.
        part |= {bound: int(part[bound]) for bound in BOUNDS if bound in part}
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _limit(inner, limits)


def _link(paths: dict[str, Any]) -> None:
    for link in LINKS:
        (method, path), (verb, place) = link.source, link.target
        target = paths[place][verb]
        linked = {"operationId": target["operationId"], "parameters": link.parameters}
        linked |= {"requestBody": link.body} if link.body else {}
        paths[path][method]["responses"][str(link.status)].setdefault("links", {})[target["summary"]] = linked
