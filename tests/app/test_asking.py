"""Asking, telling and undoing over HTTP, as a person's log sees them."""

import asyncio
import json
import sqlite3
from typing import Any

import httpx
import torch
from fastapi import FastAPI

from app.settings import Settings
from app.storage.store import PersonKey
from elicitation.posterior import Posterior
from elicitation.predict import predict
from reward_bases.artifact import Artifact

ADA = "/v1/users/ada"


async def ask(http: httpx.AsyncClient, person: str = ADA, **body: Any) -> dict[str, Any]:
    """The next question; unless ``body`` has a seed, its sides are the same in every run."""
    response = await http.post(f"{person}/questions", json={"seed": 4} | body)
    assert response.status_code in (200, 201), response.text
    question: dict[str, Any] = response.json()
    return question


async def tell(http: httpx.AsyncClient, question: dict[str, Any], choice: str, person: str = ADA) -> dict[str, Any]:
    body = {"question_id": question["question_id"], "choice": choice}
    response = await http.post(f"{person}/answers", json=body)
    assert response.status_code == 201, response.text
    told: dict[str, Any] = response.json()
    return told


def shorter(question: dict[str, Any]) -> str:
    """The side with the shorter text."""
    return min("left", "right", key=lambda side: len(question[side]))


async def test_the_first_question_creates_the_person(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"{ADA}/profile")).status_code == 404
    response = await http.post(f"{ADA}/questions")
    assert response.status_code == 201
    assert response.json()["number"] == 1
    assert (await http.get(f"{ADA}/profile")).json()["answered"] == 0


async def test_a_question_stays_open_until_it_is_answered(http: httpx.AsyncClient) -> None:
    first = await ask(http)
    again = await http.post(f"{ADA}/questions", json={"rule": "random"})
    assert (again.status_code, again.json()) == (200, first)
    await tell(http, first, "left")
    assert (await ask(http))["question_id"] != first["question_id"]


async def test_simultaneous_asking_opens_one_question(http: httpx.AsyncClient) -> None:
    questions = await asyncio.gather(*(ask(http) for _ in range(5)))
    assert len({question["question_id"] for question in questions}) == 1


async def test_only_the_banks_questions_are_asked_and_no_prompt_twice(
    http: httpx.AsyncClient, artifact: Artifact
) -> None:
    prompts, done = [], False
    while not done:
        response = await http.post(f"{ADA}/questions", json={"force": True})
        done = response.status_code == 204
        if not done:
            prompts.append(response.json()["prompt"])
            await tell(http, response.json(), "skip")
    assert sorted(prompts) == sorted(prompt.conversation.last_user for prompt in artifact.bank.part("questions"))


async def test_nothing_is_asked_when_nothing_is_worth_asking_unless_forced(http: httpx.AsyncClient) -> None:
    told = {"done": False}
    while not told["done"]:
        told = await tell(http, await ask(http), "left")
    assert (await http.post(f"{ADA}/questions")).status_code == 204


async def test_a_seed_decides_question_and_sides(http: httpx.AsyncClient) -> None:
    shown = [await ask(http, f"/v1/users/{name}", rule="random", seed=11) for name in ("a", "b")]
    assert shown[0]["left"] == shown[1]["left"]
    first = await ask(http, "/v1/users/c", seed=1)
    sides = {(await ask(http, f"/v1/users/s{seed}", seed=seed))["left"] == first["left"] for seed in range(12)}
    assert sides == {True, False}


async def test_a_question_is_stored_with_everything_it_depended_on(http: httpx.AsyncClient, artifact: Artifact) -> None:
    await ask(http, rule="dopt", seed=3)
    stored = (await http.get(f"{ADA}/export")).json()["questions"][0]
    assert (stored["rule"], stored["seed"], stored["unit"]) == ("dopt", 3, "nats")
    assert stored["basis_version"] == artifact.basis.version
    assert stored["population_version"] == artifact.population_version
    assert stored["bank_version"] == artifact.bank.version
    assert stored["profile_version"].startswith("0-")
    texts = {answer.id: answer.text for prompt in artifact.bank.prompts for answer in prompt.answers}
    assert (texts[stored["left_id"]], texts[stored["right_id"]]) == (stored["left"], stored["right"])


async def test_an_answer_moves_the_profile_towards_what_was_chosen(http: httpx.AsyncClient, artifact: Artifact) -> None:
    question = await ask(http)
    await tell(http, question, "left")
    stored = (await http.get(f"{ADA}/export")).json()["questions"][0]
    heads = (await http.get(f"{ADA}/profile")).json()["heads"]
    moved = torch.tensor([head["mean"] - head["aggregate"] for head in heads], dtype=torch.float64)
    assert float(moved @ (artifact.bank_phi[stored["left_id"]] - artifact.bank_phi[stored["right_id"]])) > 0
    assert heads[-1]["name"] == "quality"
    assert moved[-1] == 0


async def test_skip_both_poor_and_notes_never_move_the_profile(http: httpx.AsyncClient) -> None:
    before = (await ask(http), (await http.get(f"{ADA}/profile")).json())[1]
    for choice in ("skip", "both_poor"):
        question = await ask(http)
        body = {"question_id": question["question_id"], "choice": choice, "note": "shorter please"}
        assert (await http.post(f"{ADA}/answers", json=body)).status_code == 201
    after = (await http.get(f"{ADA}/profile")).json()
    assert after["heads"] == before["heads"]
    assert after["answered"] == 2
    notes = [answer["note"] for answer in (await http.get(f"{ADA}/export")).json()["answers"]]
    assert notes == ["shorter please"] * 2


async def test_the_prediction_before_the_answer_is_kept_with_it(http: httpx.AsyncClient, artifact: Artifact) -> None:
    await tell(http, await ask(http), "right")
    held = (await http.get(f"{ADA}/export")).json()
    question, answer = held["questions"][0], held["answers"][0]
    difference = artifact.bank_phi[question["left_id"]] - artifact.bank_phi[question["right_id"]]
    expected = predict(Posterior(artifact.population.components, 0.0), artifact.choice_model, difference[None])[0]
    assert answer["predicted"] == expected.tolist()


async def test_the_same_key_gets_the_same_reply_and_counts_once(http: httpx.AsyncClient) -> None:
    question = await ask(http)
    body = {"question_id": question["question_id"], "choice": "left"}
    headers = {"Idempotency-Key": "k1"}
    first = await http.post(f"{ADA}/answers", json=body, headers=headers)
    await tell(http, await ask(http), "right")
    again = await http.post(f"{ADA}/answers", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert len((await http.get(f"{ADA}/export")).json()["answers"]) == 2


async def test_of_simultaneous_answers_to_one_question_one_counts(http: httpx.AsyncClient) -> None:
    question = await ask(http)
    body = {"question_id": question["question_id"], "choice": "left"}
    replies = await asyncio.gather(*(http.post(f"{ADA}/answers", json=body) for _ in range(4)))
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409]
    assert (await http.get(f"{ADA}/profile")).json()["answered"] == 1


async def test_a_key_of_another_request_is_refused(http: httpx.AsyncClient) -> None:
    question = await ask(http)
    headers = {"Idempotency-Key": "k1"}
    body = {"question_id": question["question_id"], "choice": "left"}
    await http.post(f"{ADA}/answers", json=body, headers=headers)
    other = await http.post(f"{ADA}/answers", json=body | {"choice": "right"}, headers=headers)
    assert other.status_code == 422
    assert "fresh key" in other.json()["detail"]


async def test_undo_restores_the_profile_and_reopens_the_question(http: httpx.AsyncClient) -> None:
    question = await ask(http)
    before = (await http.get(f"{ADA}/profile")).json()
    told = await tell(http, question, "left")
    undone = (await http.delete(f"{ADA}/answers/last")).json()
    assert (undone["answer_id"], undone["question_id"]) == (told["answer_id"], question["question_id"])
    after = (await http.get(f"{ADA}/profile")).json()
    assert after["heads"] == before["heads"]
    assert after["version"] != before["version"], "a version never comes back for another log"
    assert (await ask(http))["question_id"] == question["question_id"]
    await tell(http, question, "right")
    assert [a["position"] for a in (await http.get(f"{ADA}/export")).json()["answers"]] == [1, 2, 3]


async def test_undo_twice_with_one_key_takes_back_one_answer(http: httpx.AsyncClient) -> None:
    for choice in ("left", "right"):
        await tell(http, await ask(http), choice)
    headers = {"Idempotency-Key": "u1"}
    replies = [(await http.delete(f"{ADA}/answers/last", headers=headers)).json() for _ in range(2)]
    assert replies[0] == replies[1]
    assert replies[0]["answered"] == 1


async def test_an_earlier_version_stays_readable(http: httpx.AsyncClient) -> None:
    seen = []
    for choice in ("left", "right", "same"):
        await tell(http, await ask(http), choice)
        seen.append((await http.get(f"{ADA}/profile")).json())
    for profile in seen:
        again = await http.get(f"{ADA}/profile", params={"version": profile["version"]})
        assert again.json() == profile


async def test_a_restart_replays_to_the_same_profile(
    http: httpx.AsyncClient, service_app: FastAPI, settings: Settings
) -> None:
    for choice in ("left", "right"):
        await tell(http, await ask(http), choice)
    before = (await http.get(f"{ADA}/profile")).json()
    service = service_app.state.service
    person = (await service.store.find([PersonKey("local", "ada")]))[0]
    service.profiles.forget(person)
    assert (await http.get(f"{ADA}/profile")).json() == before


async def test_statements_name_questions_of_the_person(http: httpx.AsyncClient) -> None:
    asked = []
    for _ in range(5):
        question = await ask(http, force=True)
        asked.append(question["question_id"])
        await tell(http, question, shorter(question))
    statements = (await http.get(f"{ADA}/profile")).json()["statements"]
    assert statements
    for statement in statements:
        assert statement["because"]
        assert set(statement["because"]) <= set(asked)


async def test_erasing_leaves_no_trace_and_a_newcomer_starts_afresh(
    http: httpx.AsyncClient, settings: Settings
) -> None:
    ada = "/v1/users/ada-lovelace-1815"
    question = await ask(http, ada)
    body = {"question_id": question["question_id"], "choice": "left", "note": "speak of engines"}
    await http.post(f"{ada}/answers", json=body)
    await http.post("/v1/audits")
    assert (await http.delete(ada)).status_code == 204
    held = b"".join(path.read_bytes() for path in settings.data_dir.iterdir())
    assert b"lovelace" not in held
    assert b"engines" not in held
    assert (await http.get(f"{ada}/profile")).status_code == 404
    assert (await http.delete(ada)).status_code == 404
    assert (await ask(http, ada))["number"] == 1
    assert (await http.get(f"{ada}/profile")).json()["answered"] == 0


async def test_the_export_is_everything_the_database_holds(http: httpx.AsyncClient, settings: Settings) -> None:
    await tell(http, await ask(http), "left")
    held = json.dumps((await http.get(f"{ADA}/export")).json())
    with sqlite3.connect(settings.database) as db:
        for table in ("questions", "answer_log"):
            columns = [row[1] for row in db.execute(f"pragma table_info({table})")]
            for row in db.execute(f"select * from {table}"):
                values = dict(zip(columns, row, strict=True))
                assert values["question_id"] in held
                assert values.get("answer_id", "") in held
    db.close()
