"""A database of version 0.1.0, made by that version's code, under today's service: nothing in it changes or stops."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from old_databases import OldDatabase, differences, old_database
from sqlite_utils import Database
from typer.testing import CliRunner

from app.cli import app as cli
from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.examining import examine
from app.storage.migrations import MIGRATIONS
from app.storage.opening import open_store, opened
from app.storage.store import PersonKey
from reward_bases.sources.encoder import Encoder

PERSONAL = ("people", "questions", "answer_log", "anchor_ratings", "rankings", "appeals")
IMPERSONAL = ("audits", "keys", "served", "erasures")


@pytest.fixture
def old(tmp_path: Path) -> OldDatabase:
    return old_database("0.1.0", tmp_path)


@pytest.fixture
async def http(old: OldDatabase, encoder: Encoder) -> AsyncIterator[httpx.AsyncClient]:
    """Today's service on the old database."""
    settings = Settings(data_dir=old.folder)
    engine = Engine(old.artifact, lambda: encoder, cache_vectors=1000, cache_items=1000)
    app = create_app(settings, open_store(settings), engine)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


def count(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as db:
        return int(db.execute(f"select count(*) from {table}").fetchone()[0])


def test_the_old_database_holds_something_of_everything(old: OldDatabase) -> None:
    counted = {table: count(old.file, table) for table in (*PERSONAL, *IMPERSONAL)}
    assert all(counted.values()), counted
    with closing(sqlite3.connect(old.file)) as db:
        kinds = {kind for (kind,) in db.execute("select kind from answer_log")}
        verdicts = {verdict for (verdict,) in db.execute("select verdict from appeals")}
        tenants = {tenant for (tenant,) in db.execute("select tenant_id from people")}
        revoked = [at for (at,) in db.execute("select revoked_at from keys") if at]
    assert (kinds, verdicts) == ({"answer", "correction"}, {None, "overturn", "uphold"})
    assert (tenants, len(revoked)) == ({"acme", "globex"}, 1)


async def test_opening_applies_every_step_and_keeps_every_row(old: OldDatabase) -> None:
    before = {table: count(old.file, table) for table in (*PERSONAL, *IMPERSONAL)}
    async with opened(Settings(data_dir=old.folder)):
        pass
    assert {table: count(old.file, table) for table in before} == before
    db = Database(old.file)
    assert not MIGRATIONS.pending(db)
    db.close()
    found = examine(old.file)
    assert (found.damage, found.missing, found.unknown) == ("", (), ())


async def test_everything_that_was_read_reads_the_same(http: httpx.AsyncClient, old: OldDatabase) -> None:
    """Profiles now and pinned, exports, rows for trainers, appeals and stored audits."""
    checked = 0
    for tenant, replies in old.said["seen"].items():
        for path, before in replies.items():
            reply = await http.get(path, headers=old.key(tenant))
            assert reply.status_code == 200, (tenant, path, reply.text)
            assert differences(before, reply.json()) == [], (tenant, path)
            checked += 1
    assert checked > 30


async def test_keys_open_as_before_and_the_revoked_one_does_not(http: httpx.AsyncClient, old: OldDatabase) -> None:
    assert (await http.get("/v1/users/ada/profile")).status_code == 401
    revoked = {"X-API-Key": old.said["revoked"]}
    assert (await http.get("/v1/users/ada/profile", headers=revoked)).status_code == 401
    assert (await http.get("/v1/users/bob/profile", headers=old.key("globex"))).status_code == 404
    ada = [(await http.get("/v1/users/ada/export", headers=old.key(tenant))).json() for tenant in ("acme", "globex")]
    assert ada[0]["questions"] != ada[1]["questions"]


async def test_a_key_from_before_there_were_scopes_has_them_all_and_the_list_says_so(
    http: httpx.AsyncClient, old: OldDatabase
) -> None:
    for method, path in (("POST", "/v1/audits"), ("GET", "/v1/appeals"), ("POST", "/v1/users/ada/keys")):
        assert (await http.request(method, path, headers=old.key("acme"))).status_code < 300, path
    arguments = ["key", "list", "--data-dir", str(old.folder)]
    listed = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env={"COLUMNS": "120"})
    assert listed.stdout.count("all (made before there were scopes)") == 3
    assert (await http.delete("/v1/users/ada", headers=old.key("acme"))).status_code == 204


async def test_a_request_repeated_after_the_update_gets_the_reply_of_before(
    http: httpx.AsyncClient, old: OldDatabase
) -> None:
    told, headers = old.said["replayed"], old.key("acme")
    again = await http.post(
        "/v1/users/ada/answers", json=told["request"], headers=headers | {"Idempotency-Key": "again"}
    )
    assert (again.status_code, differences(told["reply"], again.json())) == (201, [])
    undone = await http.delete("/v1/users/ada/answers/last", headers=headers | {"Idempotency-Key": "undo"})
    assert (undone.status_code, differences(old.said["undone"], undone.json())) == (200, [])


@pytest.mark.parametrize("user", ["ada", "cy"])
async def test_an_open_question_is_still_open_and_answers_go_on(
    http: httpx.AsyncClient, old: OldDatabase, user: str
) -> None:
    """cy was asked and never answered: 0.1.0 made a person of that."""
    headers, path = old.key("acme"), f"/v1/users/{user}"
    before = (await http.get(f"{path}/profile", headers=headers)).json()
    reply = await http.post(f"{path}/questions", headers=headers)
    question: dict[str, Any] = reply.json()
    assert (reply.status_code, differences(old.said["open"][user], question)) == (200, [])
    body = {"question_id": question["question_id"], "choice": "left"}
    assert (await http.post(f"{path}/answers", json=body, headers=headers)).status_code == 201
    after = (await http.get(f"{path}/profile", headers=headers)).json()
    assert after["answered"] == before["answered"] + 1
    assert (await http.post(f"{path}/questions", json={"force": True}, headers=headers)).status_code == 201
    assert (await http.delete(f"{path}/answers/last", headers=headers)).status_code == 200


async def test_somebody_of_then_can_be_erased(http: httpx.AsyncClient, old: OldDatabase) -> None:
    headers, erased = old.key("acme"), count(old.file, "erasures")
    assert (await http.delete("/v1/users/ada", headers=headers)).status_code == 204
    assert (await http.get("/v1/users/ada/export", headers=headers)).status_code == 404
    assert (await http.get("/v1/users/ada/export", headers=old.key("globex"))).status_code == 200
    assert count(old.file, "erasures") == erased + 1


async def test_texts_that_were_overturned_still_pass_and_those_upheld_do_not(
    http: httpx.AsyncClient, old: OldDatabase
) -> None:
    appeals = old.said["seen"]["acme"]["/v1/appeals?all=true"]
    assert len(appeals) == 3
    for appeal in appeals:
        body = {"prompts": [appeal["prompt"]], "completions": [appeal["response"]], "detail": True}
        reply = await http.post("/v1/score", json=body, headers=old.key("acme"))
        (detail,) = reply.json()["details"]
        assert detail["gate"]["pass"] is (appeal["verdict"] == "overturn"), appeal


async def test_the_store_knows_the_tenants_and_their_people(old: OldDatabase) -> None:
    async with opened(Settings(data_dir=old.folder)) as store:
        assert await store.registry.tenants() == ["acme", "globex"]
        assert PersonKey("acme", "cy") in [person.key for person in await store.people("acme")]
