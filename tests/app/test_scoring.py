"""Scoring, ranking and comparing over HTTP, against the mathematics done by hand."""

import math
from typing import Any

import httpx
import pytest
import torch
from fastapi import FastAPI

from app.profiles.profiles import Profile
from app.storage.store import PersonKey
from reward_bases.artifact import Artifact
from reward_bases.sources.embedding import Reading
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.phi import phi_of
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation
from safeguards.guard import divergences
from safeguards.score import bounded

PROMPT = "How do I keep basil alive indoors?"
RESPONSES = [
    "Give it light, water it when the soil is dry, and pinch the tips.",
    "Honestly? Basil is a diva! Six hours of sun, a drink every two days, and cut above the second leaf pair.",
    "1. Light: six hours.\n2. Water: when the top is dry.\n3. Warmth: above 15 °C.",
    "It depends on your window; a grow lamp may help.",
]


async def taught(http: httpx.AsyncClient, name: str = "ada", choices: str = "llrlr") -> None:
    """A person who has answered."""
    for choice in choices:
        question = (await http.post(f"/v1/users/{name}/questions", json={"force": True, "seed": 4})).json()
        body = {"question_id": question["question_id"], "choice": {"l": "left", "r": "right"}[choice]}
        assert (await http.post(f"/v1/users/{name}/answers", json=body)).status_code == 201


async def scored(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    whole = {"prompts": [PROMPT] * len(RESPONSES), "completions": RESPONSES} | body
    response = await http.post("/v1/score", json=whole)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


async def ranked(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await http.post("/v1/rank", json={"prompt": PROMPT, "candidates": RESPONSES} | body)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


async def phi(artifact: Artifact, encoder: Encoder) -> torch.Tensor:
    basis = artifact.basis
    sources = text_and_encoder(Reading(encoder.encode), encoder.sha256, basis.components)
    return (await phi_of([Pair(Conversation.of(PROMPT), said) for said in RESPONSES], basis, sources)).phi


async def adas(service_app: FastAPI) -> tuple[Profile, torch.Tensor]:
    """Ada's profile, and φ (4, K) of RESPONSES as the service has it."""
    service = service_app.state.service
    person = (await service.store.find([PersonKey("local", "ada")]))[0]
    items = await service.engine.items_of([Conversation.of(PROMPT)] * len(RESPONSES), RESPONSES)
    return await service.profiles.of(person), torch.stack([item.phi for item in items])


async def test_without_a_person_the_reward_is_the_aggregate(
    http: httpx.AsyncClient, artifact: Artifact, encoder: Encoder
) -> None:
    reply = await scored(http, detail=True)
    expected = (await phi(artifact, encoder)) @ artifact.population.mean
    assert reply["rewards"] == pytest.approx(expected.tolist(), abs=1e-4)
    assert reply["profile_versions"] == {}
    assert [detail["aggregate"] for detail in reply["details"]] == reply["rewards"]


async def test_before_any_answer_a_person_scores_exactly_as_the_aggregate(http: httpx.AsyncClient) -> None:
    await http.post("/v1/users/ada/questions")
    assert (await scored(http, user_id="ada"))["rewards"] == (await scored(http))["rewards"]


async def test_a_persons_rewards_are_those_of_the_guarded_profile(
    http: httpx.AsyncClient, service_app: FastAPI, artifact: Artifact
) -> None:
    await taught(http)
    reply = await scored(http, user_id="ada", detail=True)
    profile, rows = await adas(service_app)
    guarded, scale = profile.guarded, profile.scale
    rewards = (rows @ guarded.coefficients).clamp_min(scale.lowest)
    std = torch.stack([row @ guarded.covariance @ row for row in rows]).sqrt()
    expected = {
        "raw": rows @ profile.posterior.mean,
        "aggregate": rows @ artifact.population.mean,
        "guarded": rewards,
        "std": std,
        "lcb": rewards - std,
    }
    details = {name: [detail[name] for detail in reply["details"]] for name in reply["details"][0]}
    assert reply["rewards"] == pytest.approx(rewards.tolist(), abs=1e-12)
    assert reply["scores"] == pytest.approx(bounded(rewards / scale.std).tolist(), abs=1e-12)
    for name, values in expected.items():
        assert details[name] == pytest.approx(values.tolist(), abs=1e-12), name
    assert [sum(heads.values()) for heads in details["heads"]] == pytest.approx(reply["rewards"], abs=1e-12)


async def test_a_reward_never_depends_on_the_batch_it_came_in(http: httpx.AsyncClient) -> None:
    await taught(http)
    await taught(http, "bob", "rrr")
    alone = [
        (await scored(http, prompts=[PROMPT], completions=[text], user_id="ada"))["rewards"][0] for text in RESPONSES
    ]
    mixed = await scored(
        http,
        prompts=[PROMPT] * 8,
        completions=[text for text in RESPONSES for _ in range(2)],
        user_ids=["ada", "bob"] * 4,
    )
    assert mixed["rewards"][0::2] == alone
    assert mixed["rewards"][1::2] == (await scored(http, user_id="bob"))["rewards"]
    assert set(mixed["profile_versions"]) == {"ada", "bob"}


async def test_scores_are_between_0_and_1_in_the_order_of_the_rewards(http: httpx.AsyncClient) -> None:
    reply = await scored(http)
    assert all(0 < value < 1 for value in reply["scores"])
    order = sorted(range(len(RESPONSES)), key=reply["rewards"].__getitem__)
    assert order == sorted(range(len(RESPONSES)), key=reply["scores"].__getitem__)


async def test_a_gated_response_gets_the_floor_and_a_reason(http: httpx.AsyncClient) -> None:
    reply = await scored(http, prompts=[PROMPT] * 3, completions=["", *RESPONSES[:2]], detail=True)
    gated = reply["details"][0]
    assert gated["gate"] == {"pass": False, "reasons": ["empty"]}
    assert gated["raw"] is None
    assert reply["rewards"][0] < min(reply["rewards"][1:])


async def test_messages_and_plain_text_score_alike(http: httpx.AsyncClient) -> None:
    plain = await scored(http)
    messages = await scored(
        http,
        prompts=[[{"role": "user", "content": PROMPT}]] * len(RESPONSES),
        completions=[[{"role": "assistant", "content": text}] for text in RESPONSES],
    )
    assert messages["rewards"] == plain["rewards"]


async def test_a_pinned_version_keeps_its_rewards_while_the_person_goes_on(http: httpx.AsyncClient) -> None:
    await taught(http, choices="lr")
    before = await scored(http, user_id="ada")
    await taught(http, choices="rr")
    pin = {"profile_version": before["profile_versions"]["ada"], "basis_version": before["basis_version"]}
    assert await scored(http, user_id="ada", **pin) == before
    assert (await scored(http, user_id="ada"))["rewards"] != before["rewards"]


async def test_the_person_may_come_in_the_header(http: httpx.AsyncClient) -> None:
    await taught(http)
    body = {"prompts": [PROMPT], "completions": RESPONSES[:1]}
    reply = (await http.post("/v1/score", json=body, headers={"X-User-Id": "ada"})).json()
    assert reply["rewards"] == (await scored(http, **body, user_id="ada"))["rewards"]


async def test_ranking_by_mean_follows_the_scores(http: httpx.AsyncClient) -> None:
    await taught(http)
    rewards = (await scored(http, user_id="ada"))["rewards"]
    reply = await ranked(http, user_id="ada")
    assert [result["index"] for result in reply["results"]] == sorted(range(4), key=lambda i: -rewards[i])
    assert reply["best"] == reply["results"][0]["index"]
    total = sum(math.exp(reward) for reward in rewards)
    expected = {i: math.exp(reward) / total for i, reward in enumerate(rewards)}
    assert {r["index"]: r["probability"] for r in reply["results"]} == pytest.approx(expected, abs=1e-9)
    assert not reply["outside_guard"]


@pytest.mark.parametrize("rule", ["mean", "lcb", "pessimistic"])
async def test_certifying_brings_any_set_within_the_budget(
    http: httpx.AsyncClient, artifact: Artifact, rule: str
) -> None:
    await taught(http, choices="rrrrr")
    free, certified = (
        await ranked(http, user_id="ada", rule=rule),
        await ranked(http, user_id="ada", rule=rule, certify=True),
    )
    budget = artifact.budget["divergence"]
    assert certified["set_divergence"] <= budget + 1e-9
    assert not certified["outside_guard"]
    assert free["outside_guard"] == (rule != "mean" and free["set_divergence"] > budget)
    assert (certified["set_alpha"] == 1) == (free["set_divergence"] <= budget)
    scores = [{result["index"]: result["score"] for result in reply["results"]} for reply in (free, certified)]
    assert scores[0] == scores[1], "the score is the profile's constant, whatever the rule"


async def test_the_divergence_of_a_set_is_that_of_the_guard(
    http: httpx.AsyncClient, service_app: FastAPI, artifact: Artifact
) -> None:
    await taught(http)
    profile, rows = await adas(service_app)
    own, base = (rows[None] @ c for c in (profile.guarded.coefficients, artifact.population.mean))
    expected = float((own.softmax(1) * (own.log_softmax(1) - base.log_softmax(1))).sum())
    reference = service_app.state.service.profiles.policy.reference
    assert (await ranked(http, user_id="ada"))["set_divergence"] == pytest.approx(expected, abs=1e-9)
    assert (
        float(divergences(profile.guarded.coefficients, artifact.population.mean, reference).max())
        <= (artifact.budget["divergence"])
    )


async def test_rejected_candidates_come_last_and_are_never_best(http: httpx.AsyncClient) -> None:
    reply = await ranked(http, candidates=["", RESPONSES[0], "."])
    assert [result["index"] for result in reply["results"]] == [1, 0, 2]
    assert [result["probability"] for result in reply["results"]] == [1, 0, 0]
    nothing = await ranked(http, candidates=["", "."])
    assert nothing["best"] is None


async def test_top_n_cuts_the_list_and_nothing_else(http: httpx.AsyncClient) -> None:
    whole, cut = await ranked(http), await ranked(http, top_n=2)
    assert cut["results"] == whole["results"][:2]
    assert cut["set_divergence"] == whole["set_divergence"]


async def test_comparing_is_antisymmetric_and_agrees_with_the_rewards(http: httpx.AsyncClient) -> None:
    await taught(http)
    rewards = (await scored(http, user_id="ada"))["rewards"]
    for a, b in ((0, 1), (2, 3), (1, 2)):
        body = {"user_id": "ada", "prompt": PROMPT, "a": RESPONSES[a], "b": RESPONSES[b]}
        one = (await http.post("/v1/compare", json=body)).json()
        other = (await http.post("/v1/compare", json=body | {"a": body["b"], "b": body["a"]})).json()
        assert sum(one.values()) == pytest.approx(1)
        assert (one["p_a"], one["p_same"]) == pytest.approx((other["p_b"], other["p_same"]), abs=1e-12)
        assert (one["p_a"] > one["p_b"]) == (rewards[a] > rewards[b])


async def test_a_rejected_response_loses_a_comparison(http: httpx.AsyncClient) -> None:
    body = {"prompt": PROMPT, "a": RESPONSES[0], "b": "Solution"}
    reply = (await http.post("/v1/compare", json=body)).json()
    assert reply["p_a"] > reply["p_b"]
