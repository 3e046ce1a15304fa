"""What /metrics says of the work that was done, in closed sets of labels without tenants and people."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from shipped_people import join

from app.audit.state import audit_state
from app.errors import NotReady, Overloaded
from app.http.api import create_app
from app.observing.measured import StageName
from app.observing.metrics import BINDINGS, RUBRIC, SOURCE_FAILURES, Operation, count_verdicts
from app.scoring.engine import Engine
from app.settings import Settings
from app.sources.counted import CountedSource
from app.sources.encoding import EncodingQueue
from app.sources.turns import Limits, Waiting
from app.storage.opening import open_store
from app.storage.store import AuditReport, PersonKey
from elicitation.errors import SourceFailed
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.source import Columns, Pair, Source
from reward_bases.text import Conversation
from safeguards.findings import Status
from safeguards.gate import REASONS

SCORE = {"prompts": ["Basil?", "Basil?", "Basil?"], "completions": ["Give it light.", "", "Water it."]}
Samples = Mapping[tuple[str, str], float]
"""Value by name and by the values of the labels, joined."""
Read = Callable[[], Awaitable[Samples]]


@pytest.fixture(autouse=True)
def sources_of_other_tests_are_forgotten() -> None:
    SOURCE_FAILURES.clear()


@pytest.fixture
def read(http: httpx.AsyncClient) -> Read:
    """The samples now; those that are missing are 0."""

    async def read() -> Samples:
        text = (await http.get("/metrics")).text
        found: dict[tuple[str, str], float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name, ",".join(sample.labels.values())] = sample.value
        return found

    return read


async def grown(read: Read, work: Awaitable[object]) -> Samples:
    """What ``work`` adds to each sample."""
    before = await read()
    await work
    return defaultdict(float, {key: value - before[key] for key, value in (await read()).items()})


async def test_encoder_gate_and_caches_count_texts(http: httpx.AsyncClient, engine: Engine, read: Read) -> None:
    await engine.start()
    new = await grown(read, http.post("/v1/score", json=SCORE))
    assert new["keel_gate_texts_total", ""] == 3
    assert new["keel_gate_rejections_total", "empty"] == 1
    assert new["keel_encoded_texts_total", ""] == 3
    assert 3 <= new["keel_encoded_tokens_total", ""] <= 30
    assert new["keel_cache_entries", "vectors"] == 3
    assert new["keel_cache_entries", "items"] == 3
    assert new["keel_cache_entries", "columns"] == 2
    known = await grown(read, http.post("/v1/score", json=SCORE))
    assert known["keel_gate_texts_total", ""] == 3
    assert known["keel_encoded_texts_total", ""] == 0
    assert known["keel_cache_lookups_total", "items,hit"] == 3


@pytest.mark.parametrize("well", [True, False])
async def test_readiness_is_told_by_part(well: bool, settings: Settings, artifact: Artifact, encoder: Encoder) -> None:
    def load() -> Encoder:
        if not well:
            raise OSError
        return encoder

    app = create_app(settings, open_store(settings), Engine(artifact, load, 10, 10))
    async with app.router.lifespan_context(app):
        with nullcontext() if well else pytest.raises(NotReady):
            await app.state.service.engine.start()
        await app.state.collector.refresh()
        assert app.state.registry.get_sample_value("keel_ready", {"part": "store"}) == 1
        assert app.state.registry.get_sample_value("keel_ready", {"part": "encoder"}) == well


async def test_served_rewards_count_by_what_limits_them(http: httpx.AsyncClient, read: Read) -> None:
    for _ in range(4):
        question = (await http.post("/v1/users/ada/questions", json={"force": True})).json()["question_id"]
        await http.post("/v1/users/ada/answers", json={"question_id": question, "choice": "left", "strength": "clear"})
    guard = (await http.get("/v1/users/ada/profile")).json()["guard"]
    held = "band" if any(report["binds"] for report in guard["band"].values()) else "none"
    binding = held if guard["binding"] == "none" else guard["binding"]
    mixed = SCORE | {"user_ids": ["ada", "ada", None]}
    found = await grown(read, http.post("/v1/score", json={k: v for k, v in mixed.items() if k != "user_ids"}))
    assert found["keel_served_rewards_total", "aggregate"] == 3
    found = await grown(read, http.post("/v1/score", json=SCORE | {"user_id": "ada"}))
    assert found["keel_served_rewards_total", binding] == 3
    candidates = {"prompt": "Basil?", "candidates": ["Give it light.", "Water it."], "user_id": "ada"}
    found = await grown(read, http.post("/v1/rank", json=candidates))
    assert found["keel_served_rewards_total", binding] == 2


async def test_stages_and_the_store_are_timed(http: httpx.AsyncClient, read: Read) -> None:
    found = await grown(read, http.post("/v1/users/ada/questions"))
    assert found["keel_stage_seconds_count", "choose"] == 1
    assert found["keel_stage_seconds_count", "store"] >= 1
    assert found["keel_stage_seconds_sum", "store"] > 0
    assert found["keel_store_seconds_count", "write"] >= 1
    assert found["keel_store_seconds_count", "read"] >= 1
    assert found["keel_store_errors_total", "write"] == 0


async def test_a_broken_store_is_counted_and_metrics_go_on(
    http: httpx.AsyncClient, service_app: FastAPI, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        def drop(db: Any) -> None:
            db.execute("drop table answer_log")

        await service_app.state.service.store._writer.run(drop)
        with pytest.raises(Exception, match="answer_log"):
            await service_app.state.service.store.find([PersonKey("local", "ada")])

    found = await grown(read, broken())
    assert found["keel_store_errors_total", "lookup"] == 1
    monkeypatch.setattr(service_app.state.collector._audits, "_read_at", float("-inf"))
    assert (await http.get("/metrics")).status_code == 200


async def test_refusals_are_counted_by_the_limit_that_refused(encoder: Encoder, read: Read) -> None:
    queue = EncodingQueue(lambda: encoder, 10, Limits(texts=1))
    queue.turns.add(Waiting("", ("", "a"), "a", asyncio.get_running_loop().create_future(), wanted=1))

    async def refused() -> None:
        with pytest.raises(Overloaded):
            await queue.of(["another"])

    found = await grown(read, refused())
    assert found["keel_queue_refusals_total", "queue"] == 1
    assert found["keel_queue_refusals_total", "tenant"] == 0


class Failing:
    """A source that cannot read one pair, or any."""

    kind, names, version = "judge", ("a",), "1"

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def columns(self, pairs: Any) -> Columns:
        if self._error:
            raise self._error
        return Columns(values=[[0.0]] * len(pairs), failed={1: "unreadable"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "failures"), [(None, 1), (SourceFailed("down"), 3), (OSError(), 3), (Overloaded("full"), 0)]
)
async def test_pairs_that_a_source_cannot_read_are_counted(error: Exception | None, failures: int, read: Read) -> None:
    source: Source = CountedSource(Failing(error))
    pairs = [Pair(Conversation.of("p"), text) for text in "abc"]

    async def tried() -> None:
        with pytest.raises(type(error)) if error else nullcontext():
            await source.columns(pairs)

    assert (await grown(read, tried()))["keel_source_failures_total", "judge"] == failures


async def test_audits_are_summed_over_tenants(settings: Any) -> None:
    store, day = open_store(settings), timedelta(days=1)
    await store.open()
    try:
        assert (await audit_state(store)).age is None
        for number, (tenant, statuses) in enumerate({"a": ["red", "green"], "b": ["green"], "c": None}.items()):
            await join(store, PersonKey(tenant, "ada"))
            if statuses is not None:
                made = (datetime.now(UTC) - number * day).isoformat()
                report = {"findings": [{"status": status} for status in statuses]}
                await store.add_audit(tenant, AuditReport(f"{number:064x}", made, report))
        state = await audit_state(store)
    finally:
        await store.close()
    assert state.findings == {"green": 2, "amber": 0, "red": 1, "inconclusive": 0}
    assert state.missing == 1
    assert state.age == pytest.approx(day.total_seconds(), abs=60)


async def test_labels_have_closed_sets_of_values_and_name_nobody(http: httpx.AsyncClient, read: Read) -> None:
    for user in ("zenobia", "palmyra"):
        await http.post(f"/v1/users/{user}/questions", headers={"X-Request-Id": f"{user}-1"})
        await http.post("/v1/score", json=SCORE | {"user_id": user})
        await http.get(f"/{user}")
    text = (await http.get("/metrics")).text
    assert "zenobia" not in text
    assert "palmyra" not in text
    closed = {
        "stage": get_args(StageName),
        "operation": get_args(Operation),
        "binding": BINDINGS,
        "reason": (*REASONS, RUBRIC),
        "cache": ("vectors", "columns", "items", "profiles"),
        "result": ("hit", "miss"),
        "unit": ("texts", "tokens", "seconds"),
        "part": ("store", "encoder"),
        "limit": ("queue", "tenant", "key"),
        "source": ("text", "encoder", "judge"),
    }
    ours = [family for family in text_string_to_metric_families(text) if family.name.startswith("keel_")]
    found = {(name, value) for family in ours for sample in family.samples for name, value in sample.labels.items()}
    assert {name for name, _ in found} == {*closed, "status", "route", "method", "le", "version", "basis", "population"}
    assert {(name, value) for name, value in found if name in closed and value not in closed[name]} == set()
    statuses = {value for name, value in found if name == "status"}
    assert all(value in get_args(Status) or value.isdigit() for value in statuses)


async def test_a_deployers_rubric_is_no_label(read: Read) -> None:
    async def rejected() -> None:
        count_verdicts([["rubric:names_the_customer"], []])

    found = await grown(read, rejected())
    assert found["keel_gate_rejections_total", RUBRIC] == 1
    assert found["keel_gate_texts_total", ""] == 2
