"""Anchor ratings over HTTP: kept, used, exported, erased."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from fastapi import FastAPI
from sqlite_utils import Database

from app.storage.store import PersonKey
from elicitation.anchors import anchors
from elicitation.population import Population
from reward_bases.artifact import Artifact
from reward_bases.bank import Bank
from tests.app.test_scoring import PROMPT, RESPONSES, scored, taught


@pytest.fixture(scope="module")
def artifact(artifact: Artifact) -> Artifact:
    """People who differ little: after a few answers their rewards are known well enough to see their verdicts vary."""
    (only,) = artifact.population.components
    return replace(artifact, population=Population((replace(only, covariance=0.02 * only.covariance),)))


LEVELS = ("unacceptable", "acceptable", "excellent")


async def rated(http: httpx.AsyncClient, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    whole = {"prompt": PROMPT, "response": RESPONSES[0], "level": "acceptable"} | body
    return await http.post("/v1/users/ada/anchors", json=whole, headers=headers)


async def rate_the_bank(http: httpx.AsyncClient, bank: Bank) -> dict[str, Any]:
    """Ratings of all answers to four questions, by their rewards' thirds: a person without much variation."""
    prompts = bank.prompts[:4]
    pairs = [(prompt.conversation.last_user, answer.text) for prompt in prompts for answer in prompt.answers]
    body = {"prompts": [pair[0] for pair in pairs], "completions": [pair[1] for pair in pairs], "user_id": "ada"}
    details = (await http.post("/v1/score", json=body | {"detail": True})).json()["details"]
    order = sorted(range(len(pairs)), key=lambda i: details[i]["raw"])
    for rank, i in enumerate(order):
        reply = await rated(http, prompt=pairs[i][0], response=pairs[i][1], level=LEVELS[3 * rank // len(order)])
        assert reply.status_code == 201, reply.text
    last: dict[str, Any] = reply.json()
    return last


@pytest.mark.slow
async def test_enough_ratings_tell_the_persons_own_variation_and_few_do_not(
    http: httpx.AsyncClient, bank: Bank
) -> None:
    await taught(http)
    first = (await rated(http)).json()
    assert first["ratings"] == 1
    assert (first["aleatoric"], first["acceptable"], first["excellent"]) == (None, None, None)
    assert [d["aleatoric"] for d in (await scored(http, user_id="ada", detail=True))["details"]] == [None] * 4
    last = await rate_the_bank(http, bank)
    assert last["ratings"] == 33
    assert last["acceptable"] < last["excellent"]
    reply = await scored(http, user_id="ada", baseline=RESPONSES[:1], detail=True)
    assert {detail["aleatoric"] for detail in reply["details"]} == {last["aleatoric"]}
    chances = [detail["preferred"] for detail in reply["details"]]
    assert chances[0] == pytest.approx(0.5)
    order = sorted(range(4), key=reply["rewards"].__getitem__)
    assert chances[order[0]] < chances[order[-1]]
    assert {detail["aleatoric"] for detail in (await scored(http, detail=True))["details"]} == {None}


@pytest.mark.slow
async def test_what_is_reported_is_the_estimate_from_the_posterior_and_the_rated_texts(
    http: httpx.AsyncClient, service_app: FastAPI, bank: Bank
) -> None:
    await taught(http)
    last = await rate_the_bank(http, bank)
    service, key = service_app.state.service, PersonKey("local", "ada")
    profile = await service.profiles.of((await service.store.find([key]))[0])
    ratings = await service.store.anchor_ratings(key)
    texts = {answer.text: service.profiles.artifact.bank_phi[answer.id] for p in bank.prompts for answer in p.answers}
    phi = torch.stack([texts[rating.response] for rating in ratings])
    found = anchors(profile.posterior, phi, [rating.level for rating in ratings])
    assert last["aleatoric"] == pytest.approx(found.noise, rel=1e-3)


async def test_ratings_move_no_reward(http: httpx.AsyncClient) -> None:
    await taught(http)
    before = await scored(http, user_id="ada")
    await rated(http)
    assert await scored(http, user_id="ada") == before


async def test_a_side_of_a_question_can_be_rated_and_the_last_rating_of_a_text_stands(http: httpx.AsyncClient) -> None:
    question = (await http.post("/v1/users/ada/questions", json={"force": True})).json()
    by_side = {"prompt": None, "response": None, "question_id": question["question_id"], "side": "right"}
    assert (await rated(http, **by_side)).json()["ratings"] == 1
    by_text = await rated(http, prompt=question["prompt"], response=question["right"], level="excellent")
    assert by_text.json()["ratings"] == 1
    assert [r["level"] for r in (await http.get("/v1/users/ada/export")).json()["anchors"]] == [
        "acceptable",
        "excellent",
    ]


async def test_a_repeat_with_the_same_key_is_stored_once_and_with_another_body_refused(http: httpx.AsyncClient) -> None:
    await http.post("/v1/users/ada/questions")
    first, again = await rated(http, "k1"), await rated(http, "k1")
    assert first.json() == again.json()
    assert len((await http.get("/v1/users/ada/export")).json()["anchors"]) == 1
    assert (await rated(http, "k1", level="excellent")).status_code == 422


@pytest.mark.slow
async def test_a_pinned_profile_sees_the_ratings_of_its_time(http: httpx.AsyncClient, bank: Bank) -> None:
    await taught(http, choices="lr")
    version = (await scored(http, user_id="ada"))["profile_versions"]["ada"]
    await taught(http, choices="r")
    await rate_the_bank(http, bank)
    now, then = [await scored(http, user_id="ada", detail=True, **pin) for pin in ({}, {"profile_version": version})]
    assert now["details"][0]["aleatoric"] is not None
    assert then["details"][0]["aleatoric"] is None


def stored_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_forgetting_a_person_erases_their_ratings(http: httpx.AsyncClient, tmp_path: Path) -> None:
    await http.post("/v1/users/ada/questions")
    await rated(http, response="A very particular response about thyme.")
    assert b"thyme" in stored_bytes(tmp_path)
    assert (await http.delete("/v1/users/ada")).status_code == 204
    assert b"thyme" not in stored_bytes(tmp_path)


async def test_stored_ratings_cannot_be_changed(http: httpx.AsyncClient, tmp_path: Path) -> None:
    await http.post("/v1/users/ada/questions")
    await rated(http)
    database = Database(tmp_path / "keel.db")
    with pytest.raises(Exception, match="append-only"):
        database.execute("update anchor_ratings set level = 'excellent'")
    database.close()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"level": "fine"}, 422, "unacceptable"),
        ({"response": None}, 422, "name one response"),
        ({"side": "left"}, 422, "name one response"),
        ({"prompt": None, "response": None, "question_id": "q_nope", "side": "left"}, 404, "q_nope"),
        ({"response": "."}, 422, "the gate rejects this response"),
    ],
)
async def test_what_cannot_be_rated_is_refused(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, said: str
) -> None:
    await http.post("/v1/users/ada/questions")
    reply = await rated(http, **body)
    assert reply.status_code == status
    assert said in reply.text


async def test_somebody_unknown_has_nothing_to_rate(http: httpx.AsyncClient) -> None:
    assert (await rated(http)).status_code == 404
