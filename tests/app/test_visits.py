"""A person exists from their first answer on: whoever was only asked is on a visit, which ends by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from test_asking import ADA, ask, tell

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from app.storage.store import PersonKey

KEY = PersonKey("local", "ada")
TEXTS = ["Water it when the soil is dry, and give it six hours of light.", "It needs light and water, most of all."]
PROMPT = "How do I keep basil alive?"
SCORE = {"prompts": [PROMPT] * 2, "completions": TEXTS}
RANK = {"prompt": PROMPT, "candidates": TEXTS}
AT_ONCE = 1e-9
"""Hours after which every visit is over."""


@dataclass(frozen=True)
class Running:
    """A service and requests to it."""

    http: httpx.AsyncClient
    app: FastAPI

    async def people(self) -> list[str]:
        """Everybody, as audits and refits see them."""
        return [person.key.user_id for person in await self.app.state.service.store.people("local")]


@pytest.fixture
def running(settings: Settings, engine: Engine) -> Callable[..., object]:
    """Starts a service on the same folder again, with other settings."""

    @asynccontextmanager
    async def start(**others: float) -> AsyncIterator[Running]:
        changed = settings.model_copy(update=others)
        app = create_app(changed, open_store(changed), engine)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
        ):
            yield Running(http, app)

    return start


def rows(settings: Settings, table: str) -> int:
    with closing(sqlite3.connect(settings.database)) as db:
        return int(db.execute(f"select count(*) from {table}").fetchone()[0])


async def test_asking_makes_nobody_a_person_and_the_first_answer_does(running) -> None:
    async with running() as service:
        question = await ask(service.http)
        assert await service.people() == []
        await tell(service.http, question, "skip")
        assert await service.people() == ["ada"]


async def test_a_visitor_reads_what_they_read_in_0_1_0(running) -> None:
    """The prior: the aggregate's numbers, under a version of their own."""
    async with running() as service:
        http, question = service.http, await ask(service.http)
        profile = (await http.get(f"{ADA}/profile")).json()
        assert (profile["answered"], profile["statements"]) == (0, [])
        assert all(head["guarded"] == head["aggregate"] for head in profile["heads"])
        export = (await http.get(f"{ADA}/export")).json()
        assert [one["question_id"] for one in export["questions"]] == [question["question_id"]]
        assert (export["answers"], (await http.get(f"{ADA}/export/preferences")).json()) == ([], [])
        assert (await http.get(f"{ADA}/audit")).status_code == 200
        assert (await http.delete(f"{ADA}/answers/last")).status_code == 404
        for path, body, figures in (("/v1/score", SCORE, "rewards"), ("/v1/rank", RANK, "results")):
            own = (await http.post(path, json=body | {"user_id": "ada"})).json()
            assert own[figures] == (await http.post(path, json=body)).json()[figures]
        assert await service.people() == []


async def test_a_version_pinned_on_a_visit_holds_after_the_answers(running) -> None:
    async with running() as service:
        http, question = service.http, await ask(service.http)
        before = (await http.get(f"{ADA}/profile")).json()
        pinned = {"user_id": "ada", "profile_version": before["version"]}
        scored = (await http.post("/v1/score", json=SCORE | pinned)).json()
        await tell(http, question, "left")
        assert (await http.get(f"{ADA}/profile", params={"version": before["version"]})).json() == before
        assert (await http.post("/v1/score", json=SCORE | pinned)).json()["rewards"] == scored["rewards"]
        assert (await http.get(f"{ADA}/export")).json()["profile"]["version"].split("-")[2] in before["version"]


async def test_a_rating_or_an_appeal_makes_a_person_too(running) -> None:
    async with running() as service:
        question = await ask(service.http)
        rating = {"question_id": question["question_id"], "side": "left", "level": "excellent"}
        assert (await service.http.post(f"{ADA}/anchors", json=rating)).status_code == 201
        assert await service.people() == ["ada"]
        await ask(service.http, "/v1/users/bob")
        appeal = {"user_id": "bob", "prompt": PROMPT, "response": "."}
        assert (await service.http.post("/v1/appeals", json=appeal)).status_code == 201
        assert await service.people() == ["ada", "bob"]


async def test_a_repeated_first_answer_gets_the_first_reply_and_counts_once(running) -> None:
    headers = {"Idempotency-Key": "first"}
    async with running() as service:
        body = {"question_id": (await ask(service.http))["question_id"], "choice": "left"}
        told = [service.http.post(f"{ADA}/answers", json=body, headers=headers) for _ in range(4)]
        first, *others = await asyncio.gather(*told)
    async with running(visit_hours=AT_ONCE) as service:
        others.append(await service.http.post(f"{ADA}/answers", json=body, headers=headers))
        assert await service.people() == ["ada"]
        assert len((await service.http.get(f"{ADA}/export")).json()["answers"]) == 1
    assert [(reply.status_code, reply.json()) for reply in others] == [(201, first.json())] * 4


async def test_an_answer_to_a_visit_that_is_over_is_refused_with_the_way_on(settings: Settings, running) -> None:
    async with running() as service:
        late = {"question_id": (await ask(service.http))["question_id"], "choice": "left"}
    async with running(visit_hours=AT_ONCE) as service:
        for path in ("profile", "export", "audit"):
            assert (await service.http.get(f"{ADA}/{path}")).status_code == 404
        refused = await service.http.post(f"{ADA}/answers", json=late)
        assert refused.status_code == 404
        assert refused.headers["content-type"] == "application/problem+json"
        assert "POST /v1/users/ada/questions" in refused.json()["detail"]
        await service.http.post("/v1/users/bob/questions")
        assert rows(settings, "questions") == 0, "those that are over leave when another one begins"
    async with running() as service:
        question = await ask(service.http)
        assert (await service.http.post(f"{ADA}/answers", json=late)).status_code == 404
        await tell(service.http, question, "left")
        assert await service.people() == ["ada"]


async def test_a_visitor_can_be_forgotten_and_is_not_noted_as_erased(settings: Settings, running) -> None:
    async with running() as service:
        await ask(service.http)
        assert (await service.http.delete(ADA)).status_code == 204
        assert (await service.http.delete(ADA)).status_code == 404
    assert {table: rows(settings, table) for table in ("visits", "questions", "erasures")} == {
        "visits": 0,
        "questions": 0,
        "erasures": 0,
    }


async def test_a_visit_that_ends_before_its_question_is_there_says_how_to_go_on(running) -> None:
    async with running(visit_hours=AT_ONCE) as service:
        refused = await service.http.post(f"{ADA}/questions")
        assert refused.status_code == 404
        assert "POST /v1/users/ada/questions" in refused.json()["detail"]
        documented = (await service.http.get("/openapi.json")).json()["paths"]["/v1/users/{user_id}/questions"]
        assert "404" in documented["post"]["responses"]


@pytest.mark.parametrize("most", [1, 20])
async def test_however_many_names_are_asked_a_few_rows_are_kept_and_no_person(
    settings: Settings, running, most: int
) -> None:
    async with running(max_visits=most) as service:
        for number in range(60):
            await ask(service.http, f"/v1/users/guest-{number}")
        kept = [(await service.http.get(f"/v1/users/guest-{n}/profile")).status_code == 200 for n in range(60)]
        assert await service.people() == []
    assert kept == [False] * (60 - most) + [True] * most
    assert (rows(settings, "visits"), rows(settings, "questions"), rows(settings, "people")) == (most, most, 0)


@pytest.mark.slow
@pytest.mark.parametrize("visits", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_thousands_of_visits_leave_a_bounded_number_of_rows(settings: Settings, visits: int) -> None:
    limited = settings.model_copy(update={"max_visits": 500})
    store = open_store(limited)
    await store.open()
    for number in range(visits):
        await store.visit(PersonKey("local", f"guest-{number}"))
    await store.close()
    assert (rows(settings, "visits"), rows(settings, "people")) == (500, 0)
