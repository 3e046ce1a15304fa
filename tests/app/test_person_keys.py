"""What a key's end, person, maker and limit mean, over real SQLite: revoking, erasing, expiring, waiting."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

import keel
from app.caller import Caller
from app.cli import app
from app.commands.key import expiry
from app.errors import Conflict, TooManyRequests, Unauthorized
from app.settings import Settings
from app.sources.turns import Limits, Turns, Waiting
from app.storage.keys import ANYTHING, Grant, Keys, Wish, stored_keys
from app.storage.registry import EVERY_SCOPE, Scope
from elicitation.errors import InvalidInput

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ELICIT = Wish(frozenset({Scope.ELICIT}), bound_to="ada")


@pytest.fixture
async def keys(settings: Settings) -> AsyncIterator[Keys]:
    async with stored_keys(settings) as opened:
        yield opened


async def made(keys: Keys, wish: Wish = ANYTHING, tenant: str = "acme") -> Grant:
    """What a new key allows."""
    _, presented = await keys.create(tenant, wish)
    return await keys.grant(presented)


async def test_a_key_without_a_wish_has_every_scope_for_ever(keys: Keys) -> None:
    grant = await made(keys)
    assert (grant.tenant, grant.scopes, grant.bound_to, grant.max_tokens) == ("acme", EVERY_SCOPE, None, None)


async def test_an_expired_a_revoked_and_an_unknown_key_get_the_same_message(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    _, ending = await keys.create("acme", Wish(expires_at=ends))
    revoked, secret = await keys.create("acme")
    await keys.revoke(revoked.key_id)
    assert (await keys.grant(ending)).tenant == "acme"
    monkeypatch.setattr("app.storage.keys.now", lambda: ends)
    said = set()
    for presented in (ending, secret, f"keel_{'0' * 12}_{'0' * 64}"):
        with pytest.raises(Unauthorized) as refused:
            await keys.grant(presented)
        said.add(str(refused.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(frozenset({Scope.ADMIN}), bound_to="ada"), "cannot have admin"),
        (Wish(frozenset({Scope.DELEGATE, Scope.SCORE}), bound_to="ada"), "cannot have delegate"),
        (Wish(bound_to="a b"), "no name of a person"),
        (Wish(bound_to=""), "no name of a person"),
        (Wish(expires_at="2020-01-01T00:00:00+00:00"), "opens nothing"),
        (Wish(max_tokens=0), "0 tokens < 1"),
    ],
)
async def test_a_key_that_cannot_be_meant_is_refused(keys: Keys, wish: Wish, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        await keys.create("acme", wish)
    assert await keys.all() == []


async def test_a_key_made_by_another_is_of_one_person_and_ends_with_its_maker(keys: Keys) -> None:
    ends = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    maker = await made(keys, Wish(frozenset({Scope.DELEGATE}), ends, max_tokens=50))
    key, presented = await keys.delegate(maker, "ada", 3600)
    grant = await keys.grant(presented)
    assert (grant.tenant, grant.scopes, grant.bound_to) == ("acme", {Scope.ELICIT}, "ada")
    assert key.expires_at == ends
    assert (grant.payer, grant.max_tokens) == (maker.payer, 50)
    short, _ = await keys.delegate(maker, "ada", 60)
    assert short.expires_at is not None
    assert short.expires_at < ends


async def test_revoking_a_key_revokes_what_it_made_and_it_makes_no_more(keys: Keys) -> None:
    maker, other = await made(keys), await made(keys)
    _, presented = await keys.delegate(maker, "ada", 3600)
    _, stays = await keys.delegate(other, "ada", 3600)
    assert maker.key is not None
    await keys.revoke(maker.key.key_id)
    with pytest.raises(Unauthorized):
        await keys.grant(presented)
    with pytest.raises(Unauthorized):
        await keys.delegate(maker, "eve", 3600)
    assert (await keys.grant(stays)).bound_to == "ada"


async def test_expired_keys_that_keys_made_leave_the_database(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = await made(keys)
    for number in range(3):
        await keys.delegate(maker, f"person{number}", 60)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    monkeypatch.setattr("app.storage.keys.now", lambda: later)
    last, _ = await keys.delegate(maker, "ada", 60)
    assert [key.key_id for key in await keys.all() if key.made_by] == [last.key_id]


async def test_a_service_without_keys_makes_none_over_http(http: httpx.AsyncClient, settings: Settings) -> None:
    reply = await http.post("/v1/users/ada/keys")
    assert (reply.status_code, "needs none" in reply.json()["detail"]) == (409, True)
    with pytest.raises(Conflict):
        async with stored_keys(settings) as keys:
            await keys.delegate(Grant("local"), "ada", 60)
    assert (await http.get("/info")).status_code == 200


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 1.5, "60", True, None, 1e400])
async def test_a_key_lasts_a_day_at_most(http: httpx.AsyncClient, seconds: object) -> None:
    reply = await http.post("/v1/users/ada/keys", content=json.dumps({"seconds": seconds}))
    assert reply.status_code == 422


async def test_erasing_a_person_ends_their_keys_and_forgets_the_name_in_them(
    service_app: FastAPI, http: httpx.AsyncClient, settings: Settings
) -> None:
    keys: Keys = service_app.state.service.keys
    _, whole = await keys.create("acme")
    _, mine = await keys.create("acme", replace(ELICIT, bound_to="Adelheid"))
    _, hers = await keys.create("acme", replace(ELICIT, bound_to="eve"))
    _, elsewhere = await keys.create("zeta", replace(ELICIT, bound_to="Adelheid"))
    headers = {name: {"X-API-Key": key} for name, key in (("whole", whole), ("mine", mine), ("hers", hers))}
    question = (await http.post("/v1/users/Adelheid/questions", headers=headers["mine"])).json()["question_id"]
    answer = {"question_id": question, "choice": "left"}
    await http.post("/v1/users/Adelheid/answers", json=answer, headers=headers["mine"])
    appeal = {"prompt": "What ends a chess game at once?", "response": "Solution:"}
    assert (await http.post("/v1/appeals", json=appeal, headers=headers["mine"])).status_code == 201
    assert (await http.delete("/v1/users/Adelheid", headers=headers["mine"])).status_code == 204
    assert (await http.get("/info", headers=headers["mine"])).status_code == 401
    assert (await http.get("/info", headers=headers["hers"])).status_code == 200
    assert (await http.get("/info", headers={"X-API-Key": elsewhere})).status_code == 200
    assert (await http.get("/v1/appeals", headers=headers["whole"])).json() == []
    with sqlite3.connect(settings.database) as db:
        acme = db.execute("select bound_to from keys where tenant_id = 'acme' order by rowid").fetchall()
    db.close()
    assert acme == [(None,), ("",), ("eve",)]


async def test_the_last_key_stays_when_its_person_is_erased_so_the_service_stays_closed(
    service_app: FastAPI, http: httpx.AsyncClient
) -> None:
    _, mine = await service_app.state.service.keys.create("acme", ELICIT)
    headers = {"X-API-Key": mine}
    question = (await http.post("/v1/users/ada/questions", headers=headers)).json()["question_id"]
    answer = {"question_id": question, "choice": "left"}
    await http.post("/v1/users/ada/answers", json=answer, headers=headers)
    assert (await http.delete("/v1/users/ada", headers=headers)).status_code == 204
    assert (await http.get("/info")).status_code == 401


async def test_a_key_has_a_limit_of_waiting_tokens_which_the_keys_it_made_share() -> None:
    turns = Turns(Limits())
    maker, made_by_it = (Caller("acme", payer="k1", max_tokens=10) for _ in range(2))
    future = asyncio.get_running_loop().create_future()
    waiting = Waiting("acme", ("acme", "d"), "x" * 30, future, wanted=1, payer="k1")
    turns.admit(maker)
    turns.add(waiting)
    for caller in (maker, made_by_it):
        with pytest.raises(TooManyRequests, match=r"11 tokens of your key wait .* limit 10") as refused:
            turns.admit(caller)
        assert refused.value.seconds == 1
    turns.admit(Caller("acme", payer="k2", max_tokens=10))
    turns.admit(Caller("acme"))
    turns.leave(waiting)
    turns.admit(maker)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("30d", "2026-12-28T12:00:00+00:00"),
        ("12h", "2026-11-29T00:00:00+00:00"),
        ("2027-01-31", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31T10:00:00+02:00", "2027-01-31T08:00:00+00:00"),
    ],
)
def test_an_end_is_a_length_or_a_time(text: str, ends: str) -> None:
    assert expiry(text, NOW) == ends


@pytest.mark.parametrize("text", ["", "d", "30", "-1d", "1w", "99999999d", "tomorrow", "2027-13-01", "3 0d"])
def test_another_end_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="30d, 12h or a date"):
        expiry(text, NOW)


@pytest.mark.slow
def test_the_commands_show_what_a_key_may_do(tmp_path: Path) -> None:
    folder = ["--data-dir", str(tmp_path / "data")]
    wanted = ["--scope", "score", "--scope", "elicit", "--expires", "30d", "--user", "ada", "--max-tokens", "20000"]
    made = json.loads(CliRunner().invoke(app, ["key", "create", "--tenant", "acme", *wanted, *folder, "--json"]).stdout)
    assert (made["scopes"], made["bound_to"], made["max_tokens"]) == (["elicit", "score"], "ada", 20000)
    shown = CliRunner().invoke(app, ["key", "list", *folder], env={"COLUMNS": "80"}).stdout
    assert all(part in shown for part in (made["key_id"], "elicit, score", "ada", "until", made["expires_at"][:16]))
    (listed,) = json.loads(CliRunner().invoke(app, ["key", "list", *folder, "--json"]).stdout)["keys"]
    assert {name: listed[name] for name in ("scopes", "bound_to", "expires_at", "max_tokens", "made_by")} == {
        "scopes": ["elicit", "score"],
        "bound_to": "ada",
        "expires_at": made["expires_at"],
        "max_tokens": 20000,
        "made_by": None,
    }
    wrong = CliRunner().invoke(app, ["key", "create", "--tenant", "acme", "--scope", "root", *folder])
    assert wrong.exit_code == 2


@pytest.mark.slow
async def test_the_clients_make_a_key_of_one_person_and_raise_forbidden_beyond_it(
    live: str, settings: Settings
) -> None:
    async with stored_keys(settings) as keys:
        _, delegate = await keys.create("acme", Wish(frozenset({Scope.DELEGATE})))

    def synchronous() -> keel.PersonKey:
        with keel.Client(live, key=delegate) as client:
            with pytest.raises(keel.Forbidden, match="needs the scope elicit, and this key has delegate"):
                client.ask("ada")
            return client.person_key("ada", seconds=60)

    made = await asyncio.to_thread(synchronous)
    assert made.key not in repr(made)
    async with keel.AsyncClient(live, key=delegate) as client:
        assert (await client.person_key("ada")).expires_at > made.expires_at
    async with keel.AsyncClient(live, key=made.key) as client:
        assert await client.ask("ada") is not None
        with pytest.raises(keel.Forbidden, match="bound to one person"):
            await client.ask("eve")


async def test_the_document_says_how_long_a_key_lasts_at_most(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/openapi.json")).json()["components"]["schemas"]["KeyRequest"]["properties"]["seconds"]
    assert (schema["minimum"], schema["maximum"]) == (1, 86_400)
