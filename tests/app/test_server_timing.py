"""Server-Timing: where the time of a request went, for whoever may make it, and nothing about others."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
from torch import Tensor

from app.http.api import create_app
from app.observing.measured import LISTED, REQUEST, Measured, Stage, stage
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.keys import stored_keys
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

SLOW = 0.1
BODY = {"prompts": ["Basil?"], "completions": ["Give it light."]}
ENTRY = re.compile(r"([a-z]+);dur=(\d+\.\d)")


class SlowEncoder:
    """Takes ``SLOW`` seconds a call."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encode(self, texts: Sequence[str]) -> Tensor:
        time.sleep(SLOW)
        return self._encoder.encode(texts)


def stages(reply: httpx.Response) -> dict[str, float]:
    """Milliseconds of each stage."""
    parts = reply.headers["Server-Timing"].split(", ")
    found = {match[1]: float(match[2]) for part in parts if (match := ENTRY.fullmatch(part))}
    assert len(found) == len(parts)
    return found


@pytest.fixture
async def keyed(tmp_path: Path, artifact: Artifact, encoder: Encoder) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Clients of two tenants of a service whose encoder takes its time, and one without a key."""
    settings = Settings(data_dir=tmp_path)
    async with stored_keys(settings) as keys:
        shown = {tenant: {"X-API-Key": (await keys.create(tenant))[1]} for tenant in ("a", "b")}
    engine = Engine(artifact, lambda: SlowEncoder(encoder), 100, 100)
    app = create_app(settings, open_store(settings), engine)
    async with app.router.lifespan_context(app):
        await engine.start()
        transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 1))
        yield {
            name: httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
            for name, headers in {**shown, "nobody": {}}.items()
        }


async def test_scoring_says_where_its_time_went(keyed: dict[str, httpx.AsyncClient]) -> None:
    found = stages(await keyed["a"].post("/v1/score", json=BODY))
    assert set(found) >= {"wait", "encode", "columns", "gate", "profile", "reward", "store", "total"}
    assert found["encode"] >= SLOW * 1000 * 0.9
    assert all(0 <= took <= found["total"] for name, took in found.items() if name != "store")
    known = stages(await keyed["a"].post("/v1/score", json=BODY))
    assert not {"encode", "columns", "gate"} & set(known)
    assert known["total"] < SLOW * 1000


async def test_time_in_the_queue_is_apart_from_time_at_the_encoder(keyed: dict[str, httpx.AsyncClient]) -> None:
    others = asyncio.create_task(keyed["b"].post("/v1/score", json=BODY))
    await asyncio.sleep(SLOW / 3)
    found = stages(await keyed["a"].post("/v1/score", json=BODY | {"completions": ["Water it."]}))
    assert found["wait"] > SLOW * 1000 / 4
    assert found["encode"] >= SLOW * 1000 * 0.9
    assert (await others).status_code == 200


async def test_asking_and_answering_say_it_too(keyed: dict[str, httpx.AsyncClient]) -> None:
    asked = await keyed["a"].post("/v1/users/ada/questions")
    answer = {"question_id": asked.json()["question_id"], "choice": "left"}
    told = await keyed["a"].post("/v1/users/ada/answers", json=answer)
    assert told.status_code == 201
    for reply in (asked, told):
        assert set(stages(reply)) >= {"choose", "profile", "store", "total"}


async def test_a_text_that_another_tenant_scored_shows_the_stages_of_a_new_one(
    keyed: dict[str, httpx.AsyncClient],
) -> None:
    new = stages(await keyed["b"].post("/v1/score", json=BODY | {"completions": ["Water it."]}))
    await keyed["a"].post("/v1/score", json=BODY)
    seen = stages(await keyed["b"].post("/v1/score", json=BODY))
    assert set(seen) == set(new)
    assert seen["encode"] >= SLOW * 1000 * 0.9


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/docs", "/openapi.json", "/info", "/v1/x"])
async def test_who_shows_no_key_learns_no_times(path: str, keyed: dict[str, httpx.AsyncClient]) -> None:
    assert "Server-Timing" not in (await keyed["nobody"].get(path)).headers


async def test_stages_of_threads_and_tasks_belong_to_their_own_request() -> None:
    async def measured(n: int) -> Measured:
        request = Measured(str(n))
        REQUEST.set(request)

        def work() -> None:
            for _ in range(n):
                with stage("gate"):
                    time.sleep(0.001)

        await asyncio.gather(asyncio.to_thread(work), asyncio.create_task(asyncio.to_thread(work)))
        return request

    found = await asyncio.gather(*(asyncio.create_task(measured(n)) for n in range(1, 9)))
    assert [len(request.stages) for request in found] == [2 * n for n in range(1, 9)]
    assert all(request.seconds["gate"] >= 0.001 * len(request.stages) for request in found)
    assert REQUEST.get() is None


def test_a_request_of_many_stages_keeps_their_sum_and_the_first_of_them() -> None:
    request = Measured("many")
    for n in range(10_000):
        request.add(Stage("store", n, n + 1_000))
    assert request.seconds["store"] == pytest.approx(0.01)
    assert [stage.start for stage in request.stages] == list(range(LISTED))


def test_outside_of_a_request_nothing_is_kept() -> None:
    with stage("store"):
        pass
    assert REQUEST.get() is None
