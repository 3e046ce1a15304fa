"""Nobody waits for what another tenant has sent: turns, shares of a full queue, texts that nobody wants any more."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from fastapi import FastAPI
from torch import Tensor

from app.caller import CALLER, Caller
from app.errors import ClientGone, Overloaded, TooManyRequests
from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.sources.encoding import EncodingQueue
from app.sources.turns import Batch, Limits, Turns, Waiting, tokens_of
from app.storage.keys import stored_keys
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

Listen = Callable[[FastAPI], AbstractContextManager[str]]
A_WORD = "pelican "
STEPS_AROUND = 3
"""Steps of another tenant from a request to its reply: one while its text waits, others around that."""


class Slow:
    """An encoder that waits to be let go at every step, and writes down what it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str]) -> Tensor:
        raise AssertionError("steps exist")

    def steps(self, texts: Sequence[str]) -> Iterator[Tensor | None]:
        for text in texts:
            self.begun.set()
            self.go.wait()
            self.read.append(text)
            yield None
        yield torch.zeros(len(texts), 3)


def asked(queue: EncodingQueue, texts: list[str], caller: Caller) -> asyncio.Task[Tensor]:
    CALLER.set(caller)
    return asyncio.create_task(queue.of(texts))


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - the condition has no event
        await asyncio.sleep(0.005)
    assert condition()


async def test_what_loading_an_encoder_brings_is_not_collected_while_people_wait() -> None:
    gc.unfreeze()
    queue = EncodingQueue(Slow, 100)
    await queue.start()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    await queue.close()


async def test_tenants_take_turns_within_a_batch_too() -> None:
    slow = Slow()
    queue = EncodingQueue(lambda: slow, 100)
    first = asked(queue, [f"a{n}" for n in range(50)], Caller("a", "a"))
    await until(slow.begun.is_set)
    others = [asked(queue, [name], Caller(name, name)) for name in ("b", "c")]
    await asyncio.sleep(0)
    slow.go.set()
    await asyncio.gather(first, *others)
    assert max(slow.read.index("b"), slow.read.index("c")) <= 4
    assert len(slow.read) == 52
    await queue.close()


async def test_a_text_leaves_when_nobody_waits_for_it_any_more() -> None:
    slow = Slow()
    queue = EncodingQueue(lambda: slow, 100)
    blocking = asked(queue, ["a"], Caller("a", "a"))
    await until(slow.begun.is_set)
    gone = asyncio.create_task(asyncio.Event().wait())
    leaving = asked(queue, ["shared", "alone"], Caller("b", "b", gone))  # type: ignore[arg-type]
    staying = asked(queue, ["shared"], Caller("b", "b"))
    await until(lambda: queue.turns.texts == 3)
    gone.cancel()
    with pytest.raises(ClientGone):
        await leaving
    assert queue.turns.texts == 2
    staying.cancel()
    await until(lambda: queue.turns.texts == 1)
    slow.go.set()
    await blocking
    assert slow.read == ["a"]
    assert not queue.turns
    await queue.close()


async def test_a_long_batch_that_nobody_wants_is_not_finished() -> None:
    slow = Slow()
    queue = EncodingQueue(lambda: slow, 100)
    task = asked(queue, [f"a{n}" for n in range(100)], Caller("a", "a"))
    await until(slow.begun.is_set)
    task.cancel()
    await until(lambda: not queue.turns)
    slow.go.set()
    again = asked(queue, ["a7"], Caller("a", "a"))
    await again
    assert slow.read in (["a0", "a7"], ["a7"])
    await queue.close()


def line(turns: Turns, tenant: str, text: str) -> None:
    turns.add(Waiting(tenant, (tenant, text), text, asyncio.get_running_loop().create_future(), wanted=1))


async def test_a_full_queue_refuses_those_that_have_their_share() -> None:
    turns = Turns(Limits(tokens=100))
    turns.admit(Caller("a"))
    line(turns, "a", "x" * 3 * 100)
    with pytest.raises(Overloaded, match="101 tokens wait for the encoder >= limit 100"):
        turns.admit(Caller("a"))
    turns.admit(Caller("b"))
    line(turns, "b", "x" * 3 * 49)
    with pytest.raises(Overloaded):
        turns.admit(Caller("b"))
    turns.admit(Caller("c"))


def encoded(turns: Turns, tenant: str, text: str, seconds: float, patch: pytest.MonkeyPatch) -> None:
    """A batch of one text that took so long."""
    patch.setattr(time, "monotonic", lambda: 0.0)
    line(turns, tenant, text)
    patch.setattr(time, "monotonic", lambda: seconds)
    turns.end(turns.next())
    patch.undo()


async def test_a_queue_is_bounded_by_the_wait_that_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(Limits(seconds=5))
    encoded(turns, "a", "x" * 3 * 99, 1.0, monkeypatch)
    turns.admit(Caller("a"))
    for _ in range(7):
        line(turns, "a", "x" * 3 * 99)
    assert turns.wait == pytest.approx(7)
    with pytest.raises(Overloaded, match=r"7 seconds of work wait .* limit 5; try again in 7 s") as refused:
        turns.admit(Caller("a"))
    assert refused.value.seconds == 7
    turns.admit(Caller("b"))
    for _ in range(3):
        turns.leave(turns.next().texts[0])
    turns.admit(Caller("a"))


@pytest.mark.parametrize(("tokens", "seconds"), [(0, 1), (10, 1), (250, 3), (100_000, 30)])
async def test_a_client_is_asked_to_come_when_the_queue_has_drained(
    tokens: int, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns(Limits())
    encoded(turns, "a", "x" * 3 * 99, 1.0, monkeypatch)
    line(turns, "a", "x" * 3 * (tokens - 1))
    assert turns.pause == seconds


async def test_a_tenant_has_a_limit_of_its_own() -> None:
    turns = Turns(Limits(tenant_tokens=10))
    line(turns, "a", "x" * 30)
    with pytest.raises(TooManyRequests, match="11 tokens of your tenant wait"):
        turns.admit(Caller("a"))
    turns.admit(Caller("b"))


def test_estimates_of_tokens_follow_the_tokenizer(encoder: Encoder) -> None:
    for text in (
        "Water it when the top of the soil is dry.",
        "土の表面が乾いたら水をやってください。",
        "def f(x):\n  pass\n",
    ):
        text = text * 20
        counted = len(encoder.tokenizer(text, verbose=False)["input_ids"])
        assert 0.5 < tokens_of(text) / counted < 3


async def keys_of(settings: Settings, *tenants: str) -> list[str]:
    async with stored_keys(settings) as keys:
        return [(await keys.create(tenant))[1] for tenant in tenants]


@pytest.fixture
def tenants(tmp_path: Path, artifact: Artifact, encoder: Encoder, listen: Listen) -> Iterator[Callable[..., Any]]:
    """Starts a service with settings, and gives the engine and a client for each of two tenants."""
    settings = Settings(data_dir=tmp_path, max_tenant_tokens=250_000)
    keys = asyncio.run(keys_of(settings, "a", "b"))
    waiting = Limits(settings.max_waiting_texts, settings.max_waiting_tokens, settings.max_tenant_tokens)
    engine = Engine(artifact, lambda: encoder, 1000, 1000, waiting)
    with listen(create_app(settings, open_store(settings), engine)) as address:
        clients = [httpx.Client(base_url=address, timeout=120, headers={"X-API-Key": key}) for key in keys]
        while clients[0].get("/health/ready").status_code != 200:
            time.sleep(0.05)
        yield engine, *clients
        for client in clients:
            client.close()


def words(n: int, seed: int) -> str:
    return " ".join(f"{A_WORD}{seed} {i}" for i in range(n // 13))[:n]


def one(client: httpx.Client, text: str) -> httpx.Response:
    return client.post("/v1/score", json={"prompts": ["Basil?"], "completions": [text]})


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Each text that came and each step that was made, in their order, with its tenant."""
    happened: list[tuple[str, str]] = []
    add, step = Turns.add, Turns.step

    def added(turns: Turns, waiting: Waiting) -> None:
        happened.append(("came", waiting.tenant))
        add(turns, waiting)

    def stepped(turns: Turns, batch: Batch) -> None:
        happened.append(("step", batch.texts[0].tenant))
        step(turns, batch)

    monkeypatch.setattr(Turns, "add", added)
    monkeypatch.setattr(Turns, "step", stepped)
    return happened


@pytest.mark.slow
@pytest.mark.parametrize(("texts", "characters"), [(24, 29_000), (350, 2_000), (1000, 700)])
def test_a_short_text_waits_for_one_step_of_a_tenant_that_fills_the_queue(
    order: list[tuple[str, str]], tenants: Any, texts: int, characters: int
) -> None:
    engine, a, b = tenants
    body = {"prompts": ["Basil?"] * texts, "completions": [words(characters, n) for n in range(texts)]}
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: _given_up(a, body))
        deadline = time.monotonic() + 20
        while engine.encoding.turns.tokens < 100_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert engine.encoding.turns.tokens >= 100_000
        for n in range(5):
            sent = len(order)
            assert one(b, f"Give it light, {n} times.").status_code == 200
            during = order[sent:]
            assert during.count(("step", "b")) == 1, "a short text is one step"
            waited = during[during.index(("came", "b")) : during.index(("step", "b"))]
            assert waited.count(("step", "a")) <= 1
            # Counted in steps and not in seconds: other work on the machine stretches all alike.
            assert during.count(("step", "a")) <= STEPS_AROUND
        assert engine.encoding.turns.texts > 0, "the other tenant has waited throughout"


def _given_up(client: httpx.Client, body: dict[str, Any]) -> None:
    """Sends and goes away after ten seconds."""
    try:
        client.post("/v1/score", json=body, timeout=10)
    except httpx.ReadTimeout:
        client.close()


@pytest.mark.slow
def test_the_texts_of_a_client_that_went_away_leave_the_queue(tenants: Any) -> None:
    engine, a, b = tenants
    body = {"prompts": ["Basil?"] * 200, "completions": [words(3_000, n) for n in range(200)]}
    with pytest.raises(httpx.ReadTimeout):
        a.post("/v1/score", json=body, timeout=3)
    a.close()
    deadline = time.monotonic() + 5
    while engine.encoding.turns and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not engine.encoding.turns
    assert engine.encoding.batches < 30
    assert one(b, "Give it light.").status_code == 200


def test_every_dialect_says_429_and_when_to_come_again(
    tmp_path: Path, artifact: Artifact, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    engine = Engine(artifact, lambda: slow, 1000, 1000, Limits(tenant_tokens=1))
    monkeypatch.setattr(engine.encoding.turns, "_tokens", 1.0)
    monkeypatch.setattr(engine.encoding.turns, "_seconds", 1.0)
    settings = Settings(data_dir=tmp_path)
    with (
        listen(create_app(settings, open_store(settings), engine)) as address,
        ThreadPoolExecutor(1) as pool,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        pool.submit(one, http, "Give it light.")
        slow.begun.wait(10)
        replies = {
            path: http.post(path, json=body)
            for path, body in (
                ("/v1/score", {"prompts": ["Basil?"], "completions": ["Water it."]}),
                ("/rm", {"prompt": "Basil?", "response": "Water it."}),
                ("/predict", {"inputs": ["Basil?", "Water it."]}),
                ("/score", {"queries": "Basil?", "documents": ["Water it."]}),
                ("/v2/rerank", {"query": "Basil?", "documents": ["Water it."]}),
            )
        }
        pause = str(engine.encoding.turns.pause)
        slow.go.set()
    assert int(pause) > 1
    for path, reply in replies.items():
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, pause), path
        assert "KEEL_MAX_TENANT_TOKENS" in reply.json()["detail"]
    assert replies["/predict"].json()["error_type"] == "Overloaded"
    assert replies["/score"].json()["error"]["code"] == 429
