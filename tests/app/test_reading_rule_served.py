"""Rewards under the two reading rules over HTTP: a thought is worth what the basis's rule says, in every part."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import torch

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.reading_rule import ReadingRule
from reward_bases.sources.encoder import Encoder
from reward_bases.text import Conversation

PROMPT = "How do I keep basil alive indoors?"
ANSWER = "Give it light, water it when the soil is dry, and pinch the tips."
OTHER = "It depends on your window; a grow lamp may help."
THOUGHT = "<think>\nThe user asks about basil. Light matters most, I believe.\n</think>\n\n"
THOUGHTFUL = (
    THOUGHT + ANSWER,
    f"<think>\n\n</think>\n\n{ANSWER}",
    f"Light matters most, I believe.\n</think>\n\n{ANSWER}",
    f"[THINK]Light?[/THINK]{ANSWER}",
    f"<|channel|>analysis<|message|>Light?<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
)
UNFINISHED = "<think>\nThe user asks about basil. Light matters most, and then water, given when the soil is dry."


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rubrics": ("test_reading_rule_served:short",)})


def short(conversation: object, response: str) -> str | None:
    """A deployer's rubric."""
    return "too long" if len(response) > len(ANSWER) else None


@pytest.fixture
def artifact(artifact: Artifact) -> Artifact:
    basis = dataclasses.replace(artifact.basis, version="basis-shown", reading=ReadingRule.SHOWN)
    return dataclasses.replace(artifact, basis=basis)


@pytest.fixture
async def written(artifact: Artifact, encoder: Encoder, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A service on the same basis by the first rule."""
    basis = dataclasses.replace(artifact.basis, version="basis-written", reading=ReadingRule.WRITTEN)
    own = settings.model_copy(update={"data_dir": settings.data_dir / "written", "rubrics": ()})
    engine = Engine(dataclasses.replace(artifact, basis=basis), lambda: encoder, 1000, 1000)
    app = create_app(own, open_store(own), engine)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def scored(http: httpx.AsyncClient, *completions: str, **body: Any) -> dict[str, Any]:
    response = await http.post(
        "/v1/score", json={"prompts": [PROMPT] * len(completions), "completions": completions, "detail": True} | body
    )
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


async def test_a_finished_thought_is_worth_nothing(http: httpx.AsyncClient) -> None:
    reply = await scored(http, ANSWER, *THOUGHTFUL)
    assert reply["rewards"] == [reply["rewards"][0]] * (1 + len(THOUGHTFUL))
    assert [detail["gate"] for detail in reply["details"]] == [{"pass": True, "reasons": []}] * (1 + len(THOUGHTFUL))


async def test_a_thought_alone_is_no_answer(http: httpx.AsyncClient) -> None:
    reply = await scored(http, UNFINISHED, THOUGHT, "<think>", "Light matters.</think>", "")
    assert [detail["gate"]["reasons"] for detail in reply["details"]] == [["empty"]] * 5
    assert len(set(reply["rewards"])) == 1


async def test_what_is_said_beside_a_thought_meets_the_gate(http: httpx.AsyncClient) -> None:
    reply = await scored(http, f"{THOUGHT}Sure, here is the answer:", f"{THOUGHT}{'basil ' * 400}")
    assert [detail["gate"]["reasons"] for detail in reply["details"]] == [["trivial", "truncated"], ["repeated"]]


async def test_a_short_answer_behind_a_long_thought_is_short(http: httpx.AsyncClient) -> None:
    rows = ANSWER, OTHER, f"<think>{OTHER * 20}</think>{ANSWER}"
    reply = await scored(http, *rows, conciseness=1)
    assert reply["rewards"][0] == reply["rewards"][2]


async def test_a_thought_in_a_baseline_is_worth_nothing(http: httpx.AsyncClient) -> None:
    replies = [await scored(http, OTHER, baseline=[text]) for text in (ANSWER, *THOUGHTFUL)]
    assert len({reply["rewards"][0] for reply in replies}) == 1


async def test_candidates_that_differ_in_thoughts_are_equal(http: httpx.AsyncClient) -> None:
    reply = (await http.post("/v1/rank", json={"prompt": PROMPT, "candidates": [ANSWER, *THOUGHTFUL]})).json()
    assert [row["probability"] for row in reply["results"]] == pytest.approx([1 / 6] * 6)
    body = {"prompt": PROMPT, "a": THOUGHTFUL[0], "b": ANSWER}
    compared = (await http.post("/v1/compare", json=body)).json()
    assert compared["p_a"] == pytest.approx(compared["p_b"])


async def test_a_door_reads_by_the_rule_of_the_basis(http: httpx.AsyncClient) -> None:
    body = {"queries": PROMPT, "documents": [ANSWER, *THOUGHTFUL], "use_activation": False}
    found = (await http.post("/score", json=body)).json()
    assert len({row["score"] for row in found["data"]}) == 1


async def test_an_overturned_rejection_is_of_the_very_text(http: httpx.AsyncClient) -> None:
    rejected = f"{THOUGHT}Solution:"
    body = {"prompt": PROMPT, "response": rejected}
    appeal = (await http.post("/v1/appeals", json=body)).json()
    await http.post(f"/v1/appeals/{appeal['appeal_id']}/verdict", json={"verdict": "overturn"})
    passed, other = (await scored(http, rejected, "Solution:"))["details"]
    assert (passed["gate"]["pass"], other["gate"]["pass"]) == (True, False)


async def test_the_answer_of_a_trajectory_is_its_last_words_without_thoughts(http: httpx.AsyncClient) -> None:
    looked = [{"role": "assistant", "content": OTHER}, {"role": "tool", "content": "Basil: six hours of light."}]
    answered = [[*looked, {"role": "assistant", "content": text}] for text in (ANSWER, *THOUGHTFUL, UNFINISHED)]
    body = {"prompts": [PROMPT] * 8, "completions": [ANSWER, *answered], "detail": True}
    reply = (await http.post("/v1/score", json=body)).json()
    assert reply["rewards"][:-1] == [reply["rewards"][0]] * 7
    assert reply["details"][-1]["gate"]["reasons"] == ["empty"]


async def test_the_service_says_by_which_rule_it_reads(http: httpx.AsyncClient, written: httpx.AsyncClient) -> None:
    assert [(await client.get("/info")).json()["reading"] for client in (http, written)] == ["2", "1"]


async def test_by_the_first_rule_thoughts_are_part_of_the_response(
    http: httpx.AsyncClient, written: httpx.AsyncClient
) -> None:
    now, before = await scored(http, ANSWER, *THOUGHTFUL[:3]), await scored(written, ANSWER, *THOUGHTFUL[:3])
    assert now["rewards"][0] == pytest.approx(before["rewards"][0], abs=1e-5)
    assert len(set(before["rewards"])) == 4
    assert (await scored(written, UNFINISHED))["details"][0]["gate"]["pass"]


async def test_engines_of_both_rules_share_columns_and_confuse_none(artifact: Artifact, encoder: Encoder) -> None:
    basis = dataclasses.replace(artifact.basis, version="basis-written", reading=ReadingRule.WRITTEN)
    first = Engine(dataclasses.replace(artifact, basis=basis), lambda: encoder, 1000, 1000)
    second = first.with_artifact(artifact)
    alone = Engine(artifact, lambda: encoder, 1000, 1000)
    asked, said = [Conversation.of(PROMPT)] * 2, [THOUGHT + ANSWER, ANSWER]
    with_thought, without = await first.items_of(asked, said)
    shown = await second.items_of(asked, said)
    assert shown[0] is shown[1]
    assert torch.allclose(shown[0].phi, without.phi, atol=1e-5)
    assert not torch.allclose(shown[0].phi, with_thought.phi, atol=1e-2)
    assert torch.allclose(shown[0].phi, (await alone.items_of(asked[:1], said[:1]))[0].phi, atol=1e-5)
    for engine in (first, alone):
        await engine.close()
