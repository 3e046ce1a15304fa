"""Served rankings: who is served by which arm, what is kept of it, for how long, and what audits make of it."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from sqlite_utils.db import Table
from test_auditing import answers, audited, finding
from test_sqlite_store import content

from app.http.api import create_app
from app.scoring.engine import Engine
from app.scoring.traffic import drawn
from app.settings import Settings
from app.storage.opening import open_store

CANDIDATES = [
    "Water basil when the top of the soil is dry.",
    "Basil wants six hours of light, so put it in a south window and turn it every few days.",
    "Honestly? I would just buy a new one now and then, they are cheap.",
]
Opened = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path, engine: Engine) -> Opened:
    """Requests into a service with the given settings, and the service."""

    @asynccontextmanager
    async def open_with(**settings: float) -> AsyncIterator[tuple[httpx.AsyncClient, FastAPI]]:
        chosen = Settings(data_dir=tmp_path, **settings)  # type: ignore[arg-type]
        app = create_app(chosen, open_store(chosen), engine)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            yield client, app

    return open_with


async def ranked(http: httpx.AsyncClient, user: str | None, prompt: str = "Basil?", **more: object) -> dict[str, Any]:
    body = {"user_id": user, "prompt": prompt, "candidates": CANDIDATES, **more}
    response = await http.post("/v1/rank", json=body)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


async def test_without_exploring_everybody_is_served_by_their_own_reward_and_nothing_is_kept(opened: Opened) -> None:
    async with opened() as (http, _):
        await answers(http, "ada", "lr")
        assert (await ranked(http, "ada"))["served_by"] == "personal"
        assert (await ranked(http, None))["served_by"] == "aggregate"
        assert (await http.get("/v1/users/ada/export")).json()["rankings"] == []


@pytest.mark.slow
async def test_a_share_is_served_by_the_aggregate_by_lot_and_alike_when_repeated(opened: Opened) -> None:
    async with opened(traffic_days=30, explore_rate=0.5) as (http, _):
        await answers(http, "ada", "lrlr")
        everybody = {f"Basil {n}?": await ranked(http, None, f"Basil {n}?") for n in range(40)}
        arms = []
        for prompt, usual in everybody.items():
            reply = await ranked(http, "ada", prompt)
            assert await ranked(http, "ada", prompt) == reply
            arms.append(reply["served_by"])
            if reply["served_by"] == "aggregate":
                assert reply["results"] == usual["results"]
        assert 8 <= arms.count("aggregate") <= 32


async def test_a_pinned_profile_is_never_drawn(opened: Opened) -> None:
    async with opened(traffic_days=30, explore_rate=0.5) as (http, _):
        await answers(http, "ada", "lr")
        version = (await http.get("/v1/users/ada/profile")).json()["version"]
        replies = [await ranked(http, "ada", f"Basil {n}?", profile_version=version) for n in range(20)]
        assert {reply["served_by"] for reply in replies} == {"personal"}


def test_the_lot_is_even_and_differs_between_people() -> None:
    lots = [drawn(person, f"request {n}") for person in ("a", "b") for n in range(500)]
    assert 0.45 < sum(lots) / 1000 < 0.55
    assert lots[:500] != lots[500:]
    assert all(0 <= lot < 1 for lot in lots)


async def test_the_log_holds_numbers_and_no_texts_and_goes_with_the_person(opened: Opened, tmp_path: Path) -> None:
    async with opened(traffic_days=30) as (http, app):
        await answers(http, "ada", "lr")
        reply = await ranked(http, "ada", "A very peculiar pangolin?")
        (row,) = (await http.get("/v1/users/ada/export")).json()["rankings"]
        assert row["order"] == [result["index"] for result in reply["results"]]
        assert (len(row["phi"]), len(row["rewards"])) == (3, 3)
        assert "pangolin" not in str(row)
        store = app.state.service.store
        assert len(await store.traffic.of_tenant("local", "")) == 1
        await http.delete("/v1/users/ada")
        assert await store.traffic.of_tenant("local", "") == []
        assert row["ranking_id"].encode() not in content(tmp_path)


async def test_rows_past_their_days_are_dropped_when_the_next_is_kept(opened: Opened) -> None:
    async with opened(traffic_days=30) as (http, app):
        await answers(http, "ada", "lr")
        await ranked(http, "ada")
        traffic = app.state.service.store.traffic
        (row,) = await traffic.of_person("local", "ada")
        await traffic.add("local", "ada", row.__class__(**{**vars(row), "ranking_id": "later"}), "9999")
        assert [one.ranking_id for one in await traffic.of_person("local", "ada")] == ["later"]


async def test_nobody_is_logged_who_was_erased_in_the_meantime(opened: Opened) -> None:
    async with opened(traffic_days=30) as (http, app):
        await answers(http, "ada", "lr")
        await ranked(http, "ada")
        traffic = app.state.service.store.traffic
        (row,) = await traffic.of_person("local", "ada")
        await http.delete("/v1/users/ada")
        await answers(http, "ada", "l")
        await traffic.add("local", "ada", row, "")
        assert await traffic.of_person("local", "ada") == []


async def test_another_process_erases_nobody_while_their_ranking_is_kept(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def erased_before(table: Table, row: dict[str, Any], **more: Any) -> Table:
        if table.name == "rankings":
            with closing(sqlite3.connect(tmp_path / "keel.db", timeout=0)) as another:
                try:
                    another.execute("delete from people")
                    another.commit()
                except sqlite3.OperationalError as error:
                    refused.append(str(error))
        return insert(table, row, **more)

    insert = Table.insert
    async with opened(traffic_days=30) as (http, app):
        await answers(http, "ada", "lr")
        monkeypatch.setattr(Table, "insert", erased_before)
        await ranked(http, "ada")
        assert refused == ["database is locked"]
        assert len(await app.state.service.store.traffic.of_person("local", "ada")) == 1


@pytest.mark.slow
async def test_an_audit_reads_within_requests_and_compares_people_only_by_lot(opened: Opened) -> None:
    async with opened(traffic_days=30) as (http, _):
        for person in range(6):
            await answers(http, f"person{person}", "lrlr" if person % 2 else "rlrr")
            for n in range(3):
                await ranked(http, f"person{person}", f"Basil {n}?")
        reply = await audited(http)
        assert finding(reply, 2, "served")["n"] == 6
        assert finding(reply, 2, "served")["status"] != "inconclusive"
        for number in (5, 6):
            assert finding(reply, number, "served")["status"] == "inconclusive"
            assert "explore_rate" in finding(reply, number, "served")["note"]


@pytest.mark.slow
async def test_with_enough_lots_the_audit_tells_what_personalising_costs(opened: Opened) -> None:
    async with opened(traffic_days=30, explore_rate=0.5) as (http, _):
        for person in range(6):
            await answers(http, f"person{person}", "lrlr" if person % 2 else "rlrr")
            for n in range(25):
                await ranked(http, f"person{person}", f"Basil {n}?")
        truth = finding(await audited(http), 5, "served")
        assert truth["status"] != "inconclusive"
        assert truth["low"] <= truth["value"] <= truth["high"]


def test_exploring_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="learns nothing"):
        Settings(data_dir=tmp_path, explore_rate=0.05)
