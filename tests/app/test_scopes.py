"""Route × scope × tenant × person: what a key may do, as the table of docs/security.md says.

Each route of the OpenAPI document gets a valid request from every kind of key. What is refused changes nothing stored.
"""

import itertools
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.keys import Keys, Wish
from app.storage.opening import open_store
from app.storage.registry import EVERY_SCOPE, Scope
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DOCUMENTED = Path(__file__).parents[2] / "docs" / "security.md"
ROUTE = re.compile(r"`((?:GET|POST|DELETE) /[^`]*)`")
SCOPE = re.compile(r"`(score|elicit|audit|admin|delegate)`")
PREFIXED = ("/v1/score", "/v1/rank", "/v1/compare")
MINE = {
    "AskRequest": {},
    "CompareRequest": {"prompt": "Basil?", "a": "Give it light.", "b": "Water it.", "user_id": "ada"},
    "VerdictRequest": {"verdict": "uphold"},
}
"""Bodies of requests for which the document has no example."""
OF_ONE = (Scope.SCORE, Scope.ELICIT)
NO_AUDIT = "0" * 64
ROWS = ("completions", "documents", "texts", "query", "inputs", "input", "text", "messages")
"""Fields whose length is the number of rows of a body."""
PLACES: dict[str, Any] = {
    "user_id": "NAME",
    "user": "NAME",
    "model": "keel/NAME",
    "user_ids": ["NAME"],
    "label": {"user_id": "NAME"},
    "labels": [{"user_id": "NAME"}],
}
"""Fields that may name the person of a request, or of each row."""


class Access(NamedTuple):
    """The scopes of a route, and those which a key bound to the person may have in place of them."""

    scopes: set[str]
    own: set[str]


def documented() -> dict[str, Access]:
    """The table, by route, with the routes under /u/{user_id} that its text speaks of."""
    table = {}
    for row in DOCUMENTED.read_text().split("## Keys")[1].split("\n## ")[0].splitlines():
        cells = row.split("|")
        for route in ROUTE.findall(cells[1]) if len(cells) == 5 else ():
            table[route] = Access(set(SCOPE.findall(cells[2])), set(SCOPE.findall(cells[3])))
    doors = [route for route, access in table.items() if access.scopes == {"score"}]
    for route in (*doors, *(f"POST {path}" for path in PREFIXED)):
        method, path = route.split()
        table[f"{method} /u/{{user_id}}{path}"] = table[route]
    return table


TABLE = documented()
OPEN = {"GET /health", "GET /health/live", "GET /health/ready", "GET /docs", "GET /openapi.json"}
CLOSED = sorted(TABLE.keys() - OPEN)
NAMING = [route for route in CLOSED if route.startswith("POST") or "{user_id}" in route]
PERSONAL = [route for route in CLOSED if TABLE[route].scopes & set(OF_ONE) or TABLE[route].own]


@dataclass
class World:
    """The service in this process, its database, and tenants acme and zeta."""

    http: httpx.AsyncClient
    keys: Keys
    database: Path
    document: dict[str, Any]
    admin: str = ""
    audit_id: str = ""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def key(self, *scopes: str, tenant: str = "acme", bound_to: str | None = None) -> str:
        return (await self.keys.create(tenant, Wish(frozenset(map(Scope, scopes)), bound_to=bound_to)))[1]

    async def send(self, key: str, method: str, url: str, **options: Any) -> httpx.Response:
        headers = {"X-API-Key": key} | options.pop("headers", {})
        return await self.http.request(method, url, headers=headers, **options)

    async def person(self) -> "Somebody":
        """One more person of acme, with an answer, an open question and an appeal."""
        name = f"ada{next(self.numbers)}"
        questions = f"/v1/users/{name}/questions"
        first = (await self.send(self.admin, "POST", questions)).json()["question_id"]
        answer = {"question_id": first, "choice": "left"}
        assert (await self.send(self.admin, "POST", f"/v1/users/{name}/answers", json=answer)).status_code == 201
        opened = (await self.send(self.admin, "POST", questions)).json()["question_id"]
        rejected = {"prompt": "What ends a chess game at once?", "response": "Solution:", "user_id": name}
        appeal = await self.send(self.admin, "POST", "/v1/appeals", json=rejected)
        return Somebody(name, opened, appeal.json()["appeal_id"])

    def shapes(self, route: str) -> list["Shape"]:
        """A valid body of each shape that the route takes, about ada."""
        method, path = route.split()
        operation = self.document["paths"][path.removeprefix("/u/{user_id}")][method.lower()]
        if "requestBody" not in operation:
            return [Shape(None, set())]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        parts = schema.get("oneOf") or schema.get("anyOf") or [schema]
        names = [part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part]
        return [self.shape(name) for name in names]

    def shape(self, name: str) -> "Shape":
        schema = self.document["components"]["schemas"][name]
        return Shape(MINE.get(name) or schema.get("example", {}), set(schema["properties"]))

    def rows(self, tenant: str) -> list[str]:
        """All that is stored of a tenant."""
        with sqlite3.connect(self.database) as db:
            tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
            owned = [name for name in tables if "tenant_id" in columns(db, name)]
            found = [f"{name} {row}" for name in owned for row in db.execute(f"select * from {name}") if tenant in row]
        db.close()
        return found


def columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"pragma table_info({table})")}


class Shape(NamedTuple):
    """An example of a body, None where the route takes none, and the fields that a body of its shape may have."""

    example: Any
    fields: set[str]

    def without_names(self) -> Any:
        return {name: value for name, value in self.example.items() if name not in PLACES}

    def naming(self, person: str) -> Iterator[Any]:
        """Bodies that name somebody in one place alone, each place in turn."""
        nobody = self.without_names()
        rows = next((len(nobody[name]) for name in ROWS if isinstance(nobody.get(name), list)), 1)
        for place in sorted(self.fields & PLACES.keys()):
            value = json.loads(json.dumps(PLACES[place]).replace("NAME", person))
            yield nobody | {place: value * rows if isinstance(value, list) else value}
        if "responses_create_params" in nobody:
            yield nobody | {"responses_create_params": nobody["responses_create_params"] | {"user": person}}


class Somebody(NamedTuple):
    """A person of acme, with what a request about them needs."""

    name: str
    question_id: str
    appeal_id: str

    def url(self, route: str, audit_id: str, name: str | None = None) -> str:
        ids = {"user_id": name or self.name, "shape": "preferences", "audit_id": audit_id, "appeal_id": self.appeal_id}
        return route.split()[1].format(**ids)

    def body(self, example: Any, name: str | None = None) -> Any:
        """The example, about this person or the one named."""
        named = re.sub(r'"(keel/)?ada"', rf'"\g<1>{name or self.name}"', json.dumps(example))
        body = json.loads(re.sub(r"q_[0-9a-f]{16}", self.question_id, named))
        if isinstance(body, dict) and body.get("response") == "Solution:":
            body |= {"response": f"Solution: {self.question_id}:", "user_id": name or self.name}
        return body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, artifact: Artifact, encoder: Encoder) -> AsyncIterator[World]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("scopes"), metrics="keyed")
    app = create_app(settings, open_store(settings), Engine(artifact, lambda: encoder, 1000, 1000))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            made = World(http, app.state.service.keys, settings.database, app.openapi())
            made.admin = await made.key(*EVERY_SCOPE)
            await made.person()
            made.audit_id = (await made.send(made.admin, "POST", "/v1/audits")).json()["audit_id"]
            yield made


async def test_the_table_has_every_route_of_the_document(world: World) -> None:
    described = {f"{method.upper()} {path}" for path, item in world.document["paths"].items() for method in item}
    written = {route for route in TABLE if "/u/{user_id}/" not in route}
    assert written - {"GET /docs", "GET /openapi.json"} == described


@pytest.mark.parametrize("route", CLOSED)
async def test_the_document_declares_the_scopes_of_the_table(world: World, route: str) -> None:
    method, path = route.split()
    operation = world.document["paths"][path.removeprefix("/u/{user_id}")][method.lower()]
    schemes = {(scheme, scope) for way in operation["security"] for scheme, scopes in way.items() for scope in scopes}
    expected = TABLE[route].scopes | TABLE[route].own
    assert schemes == set(itertools.product(("HTTPBearer", "APIKeyHeader"), expected))
    assert {"401", "403"} <= operation["responses"].keys()


@pytest.mark.parametrize("route", sorted(OPEN))
async def test_an_open_route_wants_no_key(world: World, route: str) -> None:
    method, path = route.split()
    assert (await world.http.request(method, path)).status_code in {200, 503}
    assert "security" not in world.document["paths"].get(path, {}).get(method.lower(), {})


@pytest.mark.parametrize("route", CLOSED)
async def test_a_key_does_what_its_scopes_say(world: World, route: str) -> None:
    for scope, shape in itertools.product(Scope, world.shapes(route)):
        key, somebody = await world.key(scope), await world.person()
        before, permitted = world.rows("acme"), scope in TABLE[route].scopes
        method, url = route.split()[0], somebody.url(route, world.audit_id)
        reply = await world.send(key, method, url, json=somebody.body(shape.example))
        if permitted:
            assert reply.status_code < 300, (scope, reply.text)
        else:
            assert reply.status_code == 403, (scope, reply.text)
            detail = reply.json()["detail"]
            assert f"this key has {scope};" in detail
            assert all(name in detail for name in TABLE[route].scopes)
            assert world.rows("acme") == before


@pytest.mark.parametrize("route", CLOSED)
async def test_a_key_of_one_person_does_what_its_scopes_say_for_that_person(world: World, route: str) -> None:
    for scope, shape in itertools.product(OF_ONE, world.shapes(route)):
        somebody = await world.person()
        key = await world.key(scope, bound_to=somebody.name)
        method, url = route.split()[0], somebody.url(route, world.audit_id)
        reply = await world.send(
            key, method, url, json=somebody.body(shape.example), headers={"X-User-Id": somebody.name}
        )
        if scope in TABLE[route].scopes | TABLE[route].own:
            assert reply.status_code < 300, (scope, reply.text)
        else:
            assert reply.status_code == 403, (scope, reply.text)


def requests(route: str, shape: Shape, somebody: Somebody, audit_id: str) -> Iterator[dict[str, Any]]:
    """Valid requests that name somebody in one place alone: URL, header, or each field of the body."""
    url = somebody.url(route, audit_id)
    if "{user_id}" in route:
        yield {"url": url, "json": somebody.body(shape.example)}
        return
    nobody = None if shape.example is None else Shape(somebody.body(shape.example), shape.fields).without_names()
    yield {"url": url, "json": nobody, "headers": {"X-User-Id": somebody.name}}
    for body in Shape(somebody.body(shape.example), shape.fields).naming(somebody.name) if shape.fields else ():
        yield {"url": url, "json": body}


@pytest.mark.parametrize("route", PERSONAL)
async def test_a_key_of_one_person_reaches_nobody_else(world: World, route: str) -> None:
    for shape in world.shapes(route):
        somebody, other = await world.person(), await world.person()
        key = await world.key(*OF_ONE, bound_to=other.name)
        before = world.rows("acme")
        for request in requests(route, shape, somebody, world.audit_id):
            reply = await world.send(key, route.split()[0], **request)
            assert reply.status_code == 403, (request, reply.text)
            assert somebody.question_id not in reply.text
        assert world.rows("acme") == before


@pytest.mark.parametrize("route", NAMING)
async def test_places_that_name_different_people_are_refused_on_every_route(world: World, route: str) -> None:
    for shape in world.shapes(route):
        somebody = await world.person()
        before = world.rows("acme")
        for request in requests(route, shape, somebody, world.audit_id):
            if "headers" not in request:
                reply = await world.send(world.admin, route.split()[0], **request, headers={"X-User-Id": "eve"})
                assert reply.status_code == 422, (request, reply.text)
        assert world.rows("acme") == before


@pytest.mark.parametrize("route", CLOSED)
async def test_another_tenant_with_every_scope_sees_and_changes_nothing(world: World, route: str) -> None:
    key, method = await world.key(*EVERY_SCOPE, tenant="zeta"), route.split()[0]
    for shape in world.shapes(route):
        somebody, nobody = await world.person(), f"nobody{next(world.numbers)}"
        before = world.rows("acme")
        url = somebody.url(route, world.audit_id)
        reply = await world.send(key, method, url, json=somebody.body(shape.example))
        assert world.rows("acme") == before
        secrets = {somebody.question_id, somebody.appeal_id, world.audit_id}
        assert not any(secret in reply.text for secret in secrets if secret not in url)
        unknown = await world.send(
            key, method, somebody.url(route, NO_AUDIT, nobody), json=somebody.body(shape.example, nobody)
        )
        assert reply.status_code == unknown.status_code, (reply.text, unknown.text)
