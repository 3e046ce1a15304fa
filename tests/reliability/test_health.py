"""Readiness tells the truth within two seconds, names what is broken, and comes back by itself."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.errors import NotReady
from app.http.api import create_app
from app.http.health import FRESH_SECONDS, PATIENCE_SECONDS, Part
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import TextSource

TRUTH_SECONDS = 2.0
Listen = Callable[[FastAPI], AbstractContextManager[str]]


class Breakable:
    """An encoder that fails while ``broken`` is set, to load and to encode."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self.broken, self.loads, self.texts = encoder, False, 0, 0

    def load(self) -> "Breakable":
        self.loads += 1
        if self.broken:
            raise OSError("no such file")
        return self

    def encode(self, texts: Sequence[str]) -> Any:
        if self.broken or any("poison" in text for text in texts):
            raise RuntimeError("device lost")
        self.texts += len(texts)
        return self._encoder.encode(texts)


def await_readiness(http: httpx.Client, status: int, said: str = "") -> None:
    """Wait for this status, with a detail that says so, as long as the truth may take."""
    deadline = time.monotonic() + TRUTH_SECONDS
    while (reply := http.get("/health/ready")).status_code != status or said not in reply.json().get("detail", ""):
        assert time.monotonic() < deadline, f"still {reply.status_code}, {reply.text}"
        time.sleep(0.05)
    bare = http.get("/health")
    assert (bare.status_code, bare.content == b"") == (status, status == 200), "as other servers of models say it"


def score(http: httpx.Client, response: str) -> int:
    return http.post("/v1/score", json={"prompts": ["Basil?"], "completions": [response]}).status_code


@pytest.fixture
def breakable(encoder: Encoder) -> Breakable:
    return Breakable(encoder)


@pytest.fixture
def app(artifact: Artifact, breakable: Breakable, settings: Settings) -> FastAPI:
    engine = Engine(artifact, breakable.load, cache_vectors=1000, cache_items=1000)
    return create_app(settings, open_store(settings), engine)


@pytest.fixture
def http(app: FastAPI, listen: Listen) -> Iterator[httpx.Client]:
    with listen(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def test_an_encoder_that_cannot_be_loaded_is_named_and_tried_again(
    app: FastAPI, listen: Listen, breakable: Breakable
) -> None:
    breakable.broken = True
    with listen(app) as address, httpx.Client(base_url=address, timeout=30) as http:
        while not breakable.loads:
            time.sleep(0.01)
        await_readiness(http, 503, "the encoder cannot be loaded (OSError)")
        loads = breakable.loads
        assert {score(http, f"Water it {n} times.") for n in range(5)} == {503}
        assert breakable.loads <= loads + 1
        assert http.get("/health/live").status_code == 200
        breakable.broken = False
        await_readiness(http, 200)
        assert score(http, "Give it light.") == 200


def test_an_encoder_that_fails_at_run_time_is_named_and_found_well_again(
    http: httpx.Client, breakable: Breakable
) -> None:
    await_readiness(http, 200)
    breakable.broken = True
    assert score(http, "Give it light.") == 500
    await_readiness(http, 503, "sources of base rewards fail (RuntimeError)")
    breakable.broken = False
    await_readiness(http, 200)
    assert score(http, "Give it light.") == 200


def test_one_text_that_cannot_be_read_does_not_take_the_service_away(http: httpx.Client) -> None:
    await_readiness(http, 200)
    for n in range(5):
        assert score(http, f"This is poison {n}.") == 500
        assert http.get("/health/ready").status_code == 200


def test_a_source_that_fails_is_named(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await_readiness(http, 200)

    async def fail(source: TextSource, pairs: Sequence[object]) -> None:
        raise ConnectionError("judge unreachable")

    with monkeypatch.context() as patch:
        patch.setattr(TextSource, "columns", fail)
        assert score(http, "Give it light.") == 500
        await_readiness(http, 503, "(ConnectionError)")
    await_readiness(http, 200)


def test_health_of_a_service_that_is_well_encodes_nothing(http: httpx.Client, breakable: Breakable) -> None:
    await_readiness(http, 200)
    for _ in range(100):
        http.get("/health/ready").raise_for_status()
    assert breakable.texts == 0


async def test_a_part_is_looked_at_once_however_many_ask() -> None:
    looks = 0

    async def check() -> None:
        nonlocal looks
        looks += 1

    part = Part("store", check)
    start = time.monotonic()
    while time.monotonic() - start < 0.8 * FRESH_SECONDS:
        assert await part.fault() is None
    assert looks == 1


async def test_a_part_that_does_not_answer_is_at_fault_in_time() -> None:
    answer = asyncio.Event()

    async def check() -> None:
        await answer.wait()

    part, start = Part("store", check), time.monotonic()
    assert "the store has not answered for 1 s" in (await part.fault() or "")
    assert time.monotonic() - start < PATIENCE_SECONDS + 0.5
    answer.set()
    await asyncio.sleep(FRESH_SECONDS)
    assert await part.fault() is None


async def test_a_fault_is_told_in_the_words_of_the_part() -> None:
    async def check() -> None:
        raise NotReady("the disk is full; free some space")

    assert await Part("store", check).fault() == "the disk is full; free some space"
