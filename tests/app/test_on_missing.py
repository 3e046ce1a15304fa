"""Rows that a source cannot judge: 503 for the request, or null for the row."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.source import Columns, Pair

PROMPT = "How do I keep basil alive?"
GOOD = ["Water it.", "Give it light, and wait.", "Is it pale? Then give it light."]
BAD = "The judge cannot read this one."


@dataclass
class Judge:
    """The source ``source``, which does not read some responses."""

    source: Any
    failing: dict[str, str] = field(default_factory=dict)
    kind: str = "judge"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.source.names)

    @property
    def version(self) -> str:
        return str(self.source.version)

    async def columns(self, pairs: list[Pair]) -> Columns:
        found = await self.source.columns(pairs)
        failed = {row: self.failing[pair.response] for row, pair in enumerate(pairs) if pair.response in self.failing}
        return replace(found, failed=failed)


@pytest.fixture
async def http(
    settings: Settings, artifact: Artifact, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    def sources(*arguments: Any) -> tuple[Any, Any]:
        text, other = text_and_encoder(*arguments)
        return Judge(text, {BAD: "timeout"}), other

    monkeypatch.setattr("app.scoring.engine.text_and_encoder", sources)
    engine = Engine(artifact, lambda: encoder, cache_vectors=100, cache_items=100)
    app = create_app(settings, open_store(settings), engine)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        await engine.start()
        yield client


async def scored(http: httpx.AsyncClient, completions: list[str], **fields: Any) -> Mapping[str, Any]:
    body = {"prompts": [PROMPT] * len(completions), "completions": completions, **fields}
    found: Mapping[str, Any] = (await http.post("/v1/score", json=body)).raise_for_status().json()
    return found


async def test_by_default_the_request_fails(http: httpx.AsyncClient) -> None:
    body = {"prompts": [PROMPT] * 2, "completions": [BAD, GOOD[0]]}
    reply = await http.post("/v1/score", json=body)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    problem = reply.json()
    assert "source judge could not read 1 of 2 pairs, row 0: timeout" in problem["detail"]
    assert (problem["source"], problem["retry_after"]) == ("judge", 1)


@pytest.mark.parametrize(
    "fields", [{}, {"detail": True, "components": True}, {"normalize": "group"}, {"mix": 0.5, "bounded": True}]
)
async def test_a_masked_row_is_null_and_the_others_are_as_without_it(
    http: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    alone = await scored(http, GOOD, **fields)
    found = await scored(http, [GOOD[0], BAD, *GOOD[1:], BAD], on_missing="mask", **fields)
    assert found["missing"] == [{"index": row, "source": "judge", "reason": "timeout"} for row in (1, 4)]
    for name in ("rewards", "scores", *(["details"] if "detail" in fields else [])):
        assert found[name] == [alone[name][0], None, *alone[name][1:], None]
    for name, shares in (alone["components"] or {}).items():
        assert found["components"][name] == [shares[0], None, *shares[1:], None]


async def test_a_request_without_missing_rows_is_answered_as_ever(http: httpx.AsyncClient) -> None:
    assert await scored(http, GOOD, on_missing="mask") == await scored(http, GOOD)


async def test_pins_and_people_go_with_their_rows(http: httpx.AsyncClient) -> None:
    for name in ("ada", "bob"):
        (await http.post(f"/v1/users/{name}/questions", json={})).raise_for_status()
    known = await scored(http, GOOD[:2], user_ids=["ada", "bob"])
    pinned = {"user_ids": ["bob", "ada"], "profile_versions": known["profile_versions"]}
    found = await scored(http, [BAD, GOOD[0]], on_missing="mask", **pinned)
    assert found["rewards"] == [None, known["rewards"][0]]
    assert found["profile_versions"] == {"ada": known["profile_versions"]["ada"]}


async def test_nothing_but_missing_rows_is_no_error(http: httpx.AsyncClient) -> None:
    found = await scored(http, [BAD], on_missing="mask")
    assert (found["rewards"], found["scores"], len(found["missing"])) == ([None], [None], 1)
    assert found["basis_version"]


async def test_nemo_gym_s_row_is_masked_and_other_doors_get_503(http: httpx.AsyncClient) -> None:
    asked = {"input": [{"role": "user", "content": PROMPT}]}
    said = {"output": [{"type": "message", "content": [{"type": "output_text", "text": BAD}]}]}
    reply = await http.post("/verify", json={"responses_create_params": asked, "response": said, "id": 7})
    found = reply.raise_for_status().json()
    assert (found["mask_sample"], found["failure_reason"], found["id"]) == (True, "source judge: timeout", 7)
    body = {"query": [f"{PROMPT}{BAD}"], "prompts": [PROMPT]}
    assert (await http.post("/get_reward", json=body)).status_code == 503


async def test_a_baseline_that_cannot_be_judged_fails_every_row(http: httpx.AsyncClient) -> None:
    body = {"prompts": [PROMPT], "completions": [GOOD[0]], "baseline": [BAD], "on_missing": "mask"}
    assert (await http.post("/v1/score", json=body)).status_code == 503
