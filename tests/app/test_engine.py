"""The engine encodes each text once, whoever asks and however many ask at the same time."""

import asyncio
import dataclasses
from collections.abc import Sequence

import httpx
import pytest
import torch

from app.http.api import create_app, default_engine
from app.scoring.engine import Engine
from app.settings import Settings
from app.sources.encoding import EncodingQueue
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder
from reward_bases.text import Conversation
from safeguards.domain import Domain

BASIL = Conversation.of("Basil?")


class Counting:
    """The real encoder, and what it was given."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.batches: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        self.batches.append(list(texts))
        return self.encoder.encode(texts)

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


@pytest.fixture
def counting(encoder: Encoder) -> Counting:
    return Counting(encoder)


@pytest.fixture
def engine(artifact: Artifact, counting: Counting) -> Engine:
    return Engine(artifact, lambda: counting, cache_vectors=8, cache_items=8)


async def test_a_text_is_encoded_once(engine: Engine, counting: Counting) -> None:
    first = await engine.items_of([BASIL] * 3, ["Water it.", "Water it.", "Light."])
    second = await engine.items_of([BASIL], ["Water it."])
    assert sorted(counting.texts) == ["Basil?", "Light.", "Water it."]
    assert first[0] is first[1] is second[0]
    await engine.close()


async def test_simultaneous_requests_share_batches_sorted_by_length(engine: Engine, counting: Counting) -> None:
    responses = ["one", "the second of all", "three more", "one"]
    await asyncio.gather(*(engine.items_of([BASIL], [response]) for response in responses))
    assert len(counting.batches) <= 2
    assert sorted(counting.texts) == sorted({"Basil?", *responses})
    assert all(batch == sorted(batch, key=len) for batch in counting.batches)
    await engine.close()


@pytest.mark.slow
async def test_the_event_loop_stays_free_while_the_encoder_works(engine: Engine) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    items = await engine.items_of([BASIL] * 8, [" ".join(f"word{n} {i}" for i in range(300)) for n in range(8)])
    ticking.cancel()
    assert all(item.gate.passed for item in items)
    assert ticks > 10
    await engine.close()


async def test_caches_stay_within_their_size(engine: Engine) -> None:
    for n in range(20):
        await engine.items_of([BASIL], [f"response {n}"])
    assert (len(engine.items), len(engine.encoding.cache)) == (8, 8)
    await engine.close()


async def test_a_rejected_response_is_not_encoded(engine: Engine, counting: Counting) -> None:
    items = await engine.items_of([BASIL] * 2, ["", "Water it."])
    assert [item.gate.passed for item in items] == [False, True]
    assert "" not in counting.texts
    await engine.close()


async def test_a_failing_encoder_fails_only_the_waiting_requests(encoder: Encoder) -> None:
    class Fragile:
        def encode(self, texts: Sequence[str]) -> torch.Tensor:
            if "bad" in texts:
                raise RuntimeError("cannot")
            return encoder.encode(texts)

    queue = EncodingQueue(Fragile, cache_size=4)
    with pytest.raises(RuntimeError, match="cannot"):
        await queue.of(["bad"])
    assert (await queue.of(["good"])).shape == (1, encoder.dimension)
    await queue.close()


async def test_a_cancelled_request_leaves_the_others_their_vectors(engine: Engine) -> None:
    """Both wait for the same text; the first gives up."""
    first = asyncio.create_task(engine.items_of([BASIL], ["shared response"]))
    second = asyncio.create_task(engine.items_of([BASIL], ["shared response"]))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)[0].gate.passed
    await engine.close()


async def test_an_encoder_of_another_basis_is_refused_and_the_service_stays_alive(
    settings: Settings, artifact: Artifact
) -> None:
    other = dataclasses.replace(artifact, basis=dataclasses.replace(artifact.basis, encoder_sha256="other"))
    app = create_app(settings, open_store(settings), default_engine(settings, other))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://[::1]") as http,
    ):
        body = {"prompts": ["p"], "completions": ["Water it."]}
        for reply in (await http.post("/v1/score", json=body), await http.get("/health/ready")):
            assert reply.status_code == 503
            assert "the encoder cannot be loaded" in reply.json()["detail"]
        assert (await http.get("/health/live")).status_code == 200


def test_the_reference_itself_is_in_the_domain_and_far_rows_are_not(artifact: Artifact) -> None:
    domain = Domain.of(artifact.reference)
    assert all(domain.holds(artifact.reference.flatten(0, 1)))
    assert domain.holds(artifact.reference[0] * 100) == [False] * 16
