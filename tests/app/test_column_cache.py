"""Columns are read once however many ask; a failure is never kept."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import pytest
import torch
from source_contract import Case, check_source

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.sources.columns import CachedSource, ColumnCache
from app.storage.opening import open_store
from elicitation.errors import SourceFailed
from reward_bases.artifact import Artifact
from reward_bases.sources.embedding import EncoderSource, Reading
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.phi import columns_of
from reward_bases.sources.source import Columns, Pair
from reward_bases.sources.text import TextSource
from reward_bases.text import Conversation

BASIL = Conversation.of("Basil?")


def pairs(*responses: str) -> list[Pair]:
    return [Pair(BASIL, response) for response in responses]


@dataclass
class Judge:
    """Gives the length of a response once it is let go; notes what it was asked."""

    version: str = "1"
    kind: str = "judge"
    names: tuple[str, ...] = ("length", "same")
    failing: Mapping[str, str] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        said = [pair.response for pair in pairs]
        self.asked.append(said)
        await self.go.wait()
        if "explode" in said:
            raise RuntimeError("out of order")
        failed = {place: self.failing[text] for place, text in enumerate(said) if text in self.failing}
        return Columns(torch.tensor([[len(text)] * 2 for text in said], dtype=torch.float64), failed)


@dataclass(frozen=True)
class Constant:
    """Every column is 1."""

    names: tuple[str, ...]
    version: str = "1"
    kind: str = "constant"

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        return Columns(torch.ones(len(pairs), len(self.names), dtype=torch.float64))


def ready(version: str = "1", failing: Mapping[str, str] | None = None) -> Judge:
    judge = Judge(version, failing=failing or {})
    judge.go.set()
    return judge


@pytest.mark.parametrize("kind", ["text", "encoder"])
async def test_a_cached_source_keeps_the_contract_of_the_one_inside(kind: str, encoder: Encoder) -> None:
    cache = ColumnCache(1000)
    axes = torch.eye(3, encoder.dimension, dtype=torch.float64)
    cases = {
        "text": (TextSource(), ready("other")),
        "encoder": tuple(EncoderSource(Reading(encoder.encode), encoder.sha256, part) for part in (axes, axes[:2])),
    }
    same, other = cases[kind]
    await check_source(Case(lambda: CachedSource(same, cache), lambda: CachedSource(other, cache)))
    assert len(cache.rows) > 1


async def test_a_pair_is_read_once() -> None:
    judge = ready()
    cached = CachedSource(judge, ColumnCache(10))
    first = await cached.columns(pairs("a", "bb", "a"))
    second = await cached.columns(pairs("bb", "ccc"))
    assert judge.asked == [["a", "bb"], ["ccc"]]
    assert first.values.tolist() == [[1, 1], [2, 2], [1, 1]]
    assert second.values.tolist() == [[2, 2], [3, 3]]


async def test_values_are_those_of_the_source_bit_by_bit() -> None:
    asked, source = pairs("Water it.", "Light — 1/3 of a day, or more."), TextSource()
    cached = CachedSource(source, ColumnCache(10))
    for _ in range(2):
        assert torch.equal((await cached.columns(asked)).values, (await source.columns(asked)).values)


async def test_pairs_that_are_being_read_are_not_asked_for_again() -> None:
    judge = Judge()
    cached = CachedSource(judge, ColumnCache(10))
    both = asyncio.gather(cached.columns(pairs("a", "bb")), cached.columns(pairs("bb", "ccc")))
    await asyncio.sleep(0)
    judge.go.set()
    first, second = await both
    assert judge.asked == [["a", "bb"], ["ccc"]]
    assert (first.values[:, 0].tolist(), second.values[:, 0].tolist()) == ([1, 2], [2, 3])


async def test_a_request_that_gives_up_leaves_the_others_their_rows() -> None:
    judge = Judge()
    cached = CachedSource(judge, ColumnCache(10))
    first, second = (asyncio.create_task(cached.columns(pairs("a"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    judge.go.set()
    assert (await second).values.tolist() == [[1, 1]]
    assert judge.asked == [["a"]]


async def test_a_reading_that_nobody_waits_for_ends_and_the_next_request_reads_anew() -> None:
    judge = Judge()
    cached = CachedSource(judge, ColumnCache(10))
    waiting = [asyncio.create_task(cached.columns(pairs(*texts))) for texts in (("a", "bb"), ("bb", "ccc"))]
    await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    await asyncio.wait(waiting)
    judge.go.set()
    assert (await cached.columns(pairs("bb", "ccc"))).values[:, 0].tolist() == [2, 3]
    assert judge.asked == [["a", "bb"], ["ccc"], ["bb", "ccc"]]
    assert not cached._cache._under_way
    assert not cached._cache._wanted


async def test_where_one_source_fails_the_readings_of_the_others_end() -> None:
    judge, broken = Judge(), ready("other")
    cache = ColumnCache(10)
    with pytest.raises(RuntimeError, match="out of order"):
        await columns_of(pairs("explode"), (CachedSource(judge, cache), broken))
    await asyncio.sleep(0.01)
    assert judge.asked == [["explode"]]
    assert not cache._under_way


async def test_a_failed_row_is_reported_where_it_stands_and_asked_for_again() -> None:
    judge = ready(failing={"bb": "timed out"})
    cached = CachedSource(judge, ColumnCache(10))
    found = await cached.columns(pairs("a", "bb", "ccc", "bb"))
    assert found.failed == {1: "timed out", 3: "timed out"}
    assert found.values[::2].tolist() == [[1, 1], [3, 3]]
    with pytest.raises(SourceFailed, match="judge could not read 2 of 3 pairs, row 0, 2: timed out"):
        await columns_of(pairs("bb", "a", "bb"), (cached,))
    judge.failing = {}
    assert (await cached.columns(pairs("bb"))).values.tolist() == [[2, 2]]
    assert judge.asked == [["a", "bb", "ccc"], ["bb"], ["bb"]]


async def test_an_exception_reaches_all_who_wait_and_is_not_kept() -> None:
    judge = Judge()
    cached = CachedSource(judge, ColumnCache(10))
    waiting = [asyncio.create_task(cached.columns(pairs("explode"))) for _ in range(2)]
    await asyncio.sleep(0)
    judge.go.set()
    for task in waiting:
        with pytest.raises(RuntimeError, match="out of order"):
            await task
    with pytest.raises(RuntimeError, match="out of order"):
        await cached.columns(pairs("explode"))
    assert judge.asked == [["explode"], ["explode"]]


async def test_the_cache_stays_within_its_size() -> None:
    judge, cache = ready(), ColumnCache(2)
    cached = CachedSource(judge, cache)
    assert (await cached.columns(pairs("a", "bb", "ccc"))).values[:, 0].tolist() == [1, 2, 3]
    assert len(cache.rows) == 2
    await cached.columns(pairs("ccc", "a"))
    assert judge.asked[1:] == [["a"]]


async def test_sources_of_one_version_share_rows_and_others_do_not() -> None:
    cache, judges = ColumnCache(10), (ready(), ready(), ready("2"))
    for judge in judges:
        await CachedSource(judge, cache).columns(pairs("a"))
    assert [judge.asked for judge in judges] == [[["a"]], [], [["a"]]]


async def test_a_source_that_fails_is_503_with_its_name_and_no_reward(
    settings: Settings, artifact: Artifact, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(f"c{i}" for i in range(artifact.basis.weights.shape[1] - 2))
    judge, rest = ready(failing={"Water it.": "timed out"}), Constant(names)
    monkeypatch.setattr("app.scoring.engine.text_and_encoder", lambda *_: (judge, rest))
    engine = Engine(artifact, lambda: encoder, cache_vectors=10, cache_items=10)
    app = create_app(settings, open_store(settings), engine)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        body = {"prompts": ["Basil?"] * 2, "completions": ["Give it light.", "Water it."]}
        reply = await http.post("/v1/score", json=body)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
        assert "source judge could not read 1 of 2 pairs, row 1: timed out" in reply.json()["detail"]
        judge.failing = {}
        assert (await http.post("/v1/score", json=body)).status_code == 200
    assert judge.asked == [["Give it light.", "Water it."], ["Water it."]]
