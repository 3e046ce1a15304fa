"""The OpenAPI document is complete: every route says what it does, returns and refuses, and its examples are valid."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from app import schemas
from app.http import dialects
from app.http.access import OPEN_PATHS as OPEN
from app.profiles.profiles import VERSION
from app.schemas.base import PROFILE_VERSION
from app.settings import Settings

ROUTES = {
    ("post", "/v1/users/{user_id}/questions"),
    ("post", "/v1/users/{user_id}/answers"),
    ("delete", "/v1/users/{user_id}/answers/last"),
    ("post", "/v1/users/{user_id}/anchors"),
    ("get", "/v1/users/{user_id}/profile"),
    ("get", "/v1/users/{user_id}/audit"),
    ("get", "/v1/users/{user_id}/export"),
    ("get", "/v1/users/{user_id}/export/{shape}"),
    ("delete", "/v1/users/{user_id}"),
    ("post", "/v1/users/{user_id}/keys"),
    ("post", "/get_reward"),
    ("post", "/rm"),
    ("post", "/v1/score/evaluation"),
    ("post", "/classify"),
    ("post", "/score"),
    ("post", "/v1/embeddings"),
    ("post", "/rerank"),
    ("post", "/v1/rerank"),
    ("post", "/v2/rerank"),
    ("post", "/predict"),
    ("post", "/verify"),
    ("post", "/seed_session"),
    ("post", "/close_session"),
    ("get", "/reverify_mode"),
    ("post", "/aggregate_metrics"),
    ("get", "/v1/models"),
    ("post", "/v1/score"),
    ("post", "/v1/rank"),
    ("post", "/v1/compare"),
    ("post", "/v1/audits"),
    ("get", "/v1/audits/latest"),
    ("get", "/v1/audits/{audit_id}"),
    ("post", "/v1/appeals"),
    ("get", "/v1/appeals"),
    ("post", "/v1/appeals/{appeal_id}/verdict"),
    ("get", "/health"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/info"),
    ("get", "/metrics"),
}
MODULES = [
    import_module(f"{package.__name__}.{module.name}")
    for package in (schemas, dialects)
    for module in iter_modules(package.__path__)
]
EXAMPLES = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == module.__name__
    if "example" in kind.model_config.get("json_schema_extra", {})
]


async def test_every_route_is_documented(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    found = {(method, path): text for path, methods in document["paths"].items() for method, text in methods.items()}
    assert set(found) == ROUTES
    for route, text in found.items():
        assert text["summary"], route
        assert text["description"], route
    assert (await http.get("/docs")).status_code == 200


async def test_refusals_are_documented_as_problems(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method, text in methods.items():
            errors = {status: reply for status, reply in text["responses"].items() if status >= "400"}
            assert ("401" in errors) == (path not in OPEN), (method, path)
            assert "422" in errors or not ("requestBody" in text or text.get("parameters")), (method, path)
            assert "413" in errors or "requestBody" not in text, (method, path)
            for reply in errors.values():
                assert "application/problem+json" in reply["content"], (method, path)


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_examples_are_valid(kind: type[BaseModel]) -> None:
    extra: Any = kind.model_config["json_schema_extra"]
    read = kind.model_validate(extra["example"])
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == extra["example"]


async def test_limits_in_force_stand_in_the_document(http: httpx.AsyncClient, settings: Settings) -> None:
    schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    prompts = schemas["ScoreRequest"]["properties"]["prompts"]
    assert (prompts["maxItems"], prompts["x-setting"]) == (300, "KEEL_MAX_ITEMS")
    text, messages = prompts["items"]["anyOf"]
    assert (text["maxLength"], messages["maxItems"]) == (settings.max_text_chars, settings.max_messages)
    assert schemas["RankRequest"]["properties"]["candidates"]["maxItems"] == 20
    # A response stands beside its prompt's messages.
    found = {
        part["maxItems"] for part in schemas["ClassifyRequest"]["properties"]["messages"]["anyOf"] if len(part) > 1
    }
    assert found == {settings.max_messages + 1}


def test_versions_are_documented_as_they_are_read() -> None:
    assert VERSION.pattern == PROFILE_VERSION


async def test_a_rule_over_an_ensemble_is_documented_where_there_is_one(http: httpx.AsyncClient) -> None:
    schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    assert "mean" in schemas["RankRule"]["enum"]
    assert "brme" not in schemas["RankRule"]["enum"]


async def test_the_largest_seed_is_exact_in_the_document(http: httpx.AsyncClient) -> None:
    seed = (await http.get("/openapi.json")).json()["components"]["schemas"]["RankRequest"]["properties"]["seed"]
    assert [one["exclusiveMaximum"] for one in seed["anyOf"] if one["type"] == "integer"] == [2**63]


async def test_info_shows_what_is_in_force(http: httpx.AsyncClient, settings: Settings) -> None:
    info = (await http.get("/info")).json()
    assert info["limits"] == settings.limits()
    assert info["limits"]["max_items"] == 300
    assert info["basis_version"] == "basis-1"
    assert [head["name"] for head in info["heads"] if head["protected"]] == ["quality"]


async def test_metrics_count_requests_by_route_and_name_nobody(http: httpx.AsyncClient) -> None:
    await http.post("/v1/users/margaret/questions")
    await http.get("/v1/nowhere/margaret")
    text = (await http.get("/metrics")).text
    assert 'keel_requests_total{method="POST",route="/v1/users/{user_id}/questions",status="201"} 1.0' in text
    assert "margaret" not in text
