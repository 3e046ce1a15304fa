"""Bad input of every kind: a 4xx problem that helps, and a database that did not notice."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.errors import STATUS, status_of
from app.settings import Settings
from elicitation.errors import KeelError

JSON = {"content-type": "application/json"}
SCORE = {"prompts": ["p"], "completions": ["c"]}
RANK = {"prompt": "p", "candidates": ["a", "b"]}


ASKED = {"role": "user", "content": "a"}
SAID = [{"role": "assistant", "content": "a"}]
PAIRS = {"queries": "a", "documents": ["b"]}
VERIFY = {"responses_create_params": {"input": []}, "response": {"output": []}}


@dataclass(frozen=True)
class Situation:
    """Ada has an answered question and an open one; Bob has an open one."""

    http: httpx.AsyncClient
    answered: str
    open: str
    bobs: str
    version: str


@pytest.fixture
async def situation(http: httpx.AsyncClient) -> Situation:
    answered = (await http.post("/v1/users/ada/questions")).json()["question_id"]
    body = {"question_id": answered, "choice": "left"}
    headers = {"Idempotency-Key": "first"}
    version = (await http.post("/v1/users/ada/answers", json=body, headers=headers)).json()["profile_version"]
    opened = (await http.post("/v1/users/ada/questions")).json()["question_id"]
    bobs = (await http.post("/v1/users/bob/questions")).json()["question_id"]
    return Situation(http, answered, opened, bobs, version)


def dump(database: Path) -> list[str]:
    with sqlite3.connect(database) as db:
        lines = list(db.iterdump())
    db.close()
    return lines


def problem_of(response: httpx.Response, status: int) -> str:
    """The one check of every error reply."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert {"type", "title", "status", "detail"} <= set(body)
    assert "Traceback" not in response.text
    detail: str = body["detail"]
    return detail


ANSWERS = "/v1/users/ada/answers"
QUESTIONS = "/v1/users/ada/questions"
BAD: list[tuple[str, str, str, dict[str, Any], int, str]] = [
    ("unknown choice", "POST", ANSWERS, {"json": {"question_id": "{open}", "choice": "middle"}}, 422, "middle"),
    (
        "unknown strength",
        "POST",
        ANSWERS,
        {"json": {"question_id": "{open}", "choice": "left", "strength": 3}},
        422,
        "3",
    ),
    (
        "strength of a tie",
        "POST",
        ANSWERS,
        {"json": {"question_id": "{open}", "choice": "same", "strength": "clear"}},
        422,
        "left or right",
    ),
    ("unknown question", "POST", ANSWERS, {"json": {"question_id": "q_nope", "choice": "left"}}, 404, "q_nope"),
    ("another person's question", "POST", ANSWERS, {"json": {"question_id": "{bobs}", "choice": "left"}}, 404, "ask"),
    ("answered again", "POST", ANSWERS, {"json": {"question_id": "{answered}", "choice": "left"}}, 409, "undo"),
    (
        "answered again with another key",
        "POST",
        ANSWERS,
        {"json": {"question_id": "{answered}", "choice": "left"}, "headers": {"Idempotency-Key": "second"}},
        409,
        "undo",
    ),
    (
        "known key, other body",
        "POST",
        ANSWERS,
        {"json": {"question_id": "{open}", "choice": "left"}, "headers": {"Idempotency-Key": "first"}},
        422,
        "fresh",
    ),
    ("missing choice", "POST", ANSWERS, {"json": {"question_id": "{open}"}}, 422, "add it"),
    (
        "unknown field",
        "POST",
        ANSWERS,
        {"json": {"question_id": "{open}", "choice": "left", "weight": 2}},
        422,
        "remove it",
    ),
    (
        "long note",
        "POST",
        ANSWERS,
        {"json": {"question_id": "{open}", "choice": "left", "note": "x" * 3000}},
        422,
        "3000 characters in one note > limit 2000",
    ),
    (
        "half a character",
        "POST",
        ANSWERS,
        {"content": '{"question_id": "{open}", "choice": "left", "note": "\\ud800"}', "headers": JSON},
        422,
        "half a character",
    ),
    (
        "half a character in an id",
        "POST",
        ANSWERS,
        {"content": '{"question_id": "\\ud800", "choice": "left"}', "headers": JSON},
        422,
        "half a character",
    ),
    (
        "half a character in a response",
        "POST",
        "/v1/score",
        {"content": '{"prompts": ["p"], "completions": ["\\udc00"]}', "headers": JSON},
        422,
        "half a character",
    ),
    ("unknown person", "GET", "/v1/users/nobody/profile", {}, 404, "nobody"),
    (
        "unknown person's answer",
        "POST",
        "/v1/users/x/answers",
        {"json": {"question_id": "q", "choice": "left"}},
        404,
        "x",
    ),
    ("unknown person's undo", "DELETE", "/v1/users/nobody/answers/last", {}, 404, "nobody"),
    ("nothing to undo", "DELETE", "/v1/users/bob/answers/last", {}, 404, "answer a question first"),
    ("unknown person erased", "DELETE", "/v1/users/nobody", {}, 404, "nobody"),
    ("odd user id", "POST", "/v1/users/a%20b/questions", {}, 422, "a b"),
    ("long user id", "POST", f"/v1/users/{'x' * 200}/questions", {}, 422, "user_id"),
    ("unknown rule", "POST", QUESTIONS, {"json": {"rule": "guess"}}, 422, "guess"),
    ("seed out of range", "POST", QUESTIONS, {"json": {"seed": -1}}, 422, "-1"),
    ("seed that is no number", "POST", QUESTIONS, {"content": '{"seed": NaN}', "headers": JSON}, 422, "nan"),
    ("disagreeing names", "POST", QUESTIONS, {"headers": {"X-User-Id": "bob"}}, 422, "2 people"),
    ("empty lists", "POST", "/v1/score", {"json": {"prompts": [], "completions": []}}, 422, "at least 1"),
    (
        "unequal lists",
        "POST",
        "/v1/score",
        {"json": {"prompts": ["p"], "completions": ["a", "b"]}},
        422,
        "1 prompts for 2",
    ),
    (
        "too many items",
        "POST",
        "/v1/score",
        {"json": {"prompts": ["p"] * 301, "completions": ["c"] * 301}},
        422,
        "limit 300",
    ),
    (
        "too many people",
        "POST",
        "/v1/score",
        {"json": {"prompts": ["p"] * 4, "completions": ["c"] * 4, "user_ids": list("abcd")}},
        422,
        "KEEL_MAX_PEOPLE",
    ),
    ("too few people", "POST", "/v1/score", {"json": SCORE | {"user_ids": ["ada", "bob"]}}, 422, "2 user_ids for 1"),
    ("two ways to name", "POST", "/v1/score", {"json": SCORE | {"user_id": "ada", "user_ids": ["bob"]}}, 422, "people"),
    ("empty prompt", "POST", "/v1/score", {"json": SCORE | {"prompts": [" "]}}, 422, "empty"),
    ("empty messages", "POST", "/v1/score", {"json": SCORE | {"prompts": [[]]}}, 422, "prompts"),
    (
        "no user turn",
        "POST",
        "/v1/score",
        {"json": SCORE | {"prompts": [[{"role": "assistant", "content": "x"}]]}},
        422,
        "user turn",
    ),
    (
        "completion of a user",
        "POST",
        "/v1/score",
        {"json": SCORE | {"completions": [[{"role": "user", "content": "x"}]]}},
        422,
        "'user'",
    ),
    (
        "number for a text",
        "POST",
        "/v1/score",
        {"content": '{"prompts":[NaN],"completions":["c"]}', "headers": JSON},
        422,
        "nan",
    ),
    ("long text", "POST", "/v1/score", {"json": SCORE | {"completions": ["x" * 100_001]}}, 422, "KEEL_MAX_TEXT_CHARS"),
    ("unknown person scored", "POST", "/v1/score", {"json": SCORE | {"user_id": "nobody"}}, 404, "nobody"),
    (
        "malformed version",
        "POST",
        "/v1/score",
        {"json": SCORE | {"user_id": "ada", "profile_version": "latest"}},
        422,
        "latest",
    ),
    (
        "version of another basis",
        "POST",
        "/v1/score",
        {"json": SCORE | {"user_id": "ada", "profile_version": "1-0123456789ab"}},
        409,
        "another basis",
    ),
    (
        "inconsistent pair",
        "POST",
        "/v1/score",
        {"json": SCORE | {"user_id": "ada", "profile_version": "{version}", "basis_version": "other"}},
        409,
        "other",
    ),
    ("other basis", "POST", "/v1/rank", {"json": RANK | {"basis_version": "other"}}, 409, "basis-1"),
    (
        "version without person",
        "POST",
        "/v1/score",
        {"json": SCORE | {"profile_version": "{version}"}},
        422,
        "0 are named; use profile_versions",
    ),
    ("unsupported rule", "POST", "/v1/rank", {"json": RANK | {"rule": "borda"}}, 422, "'mean', 'lcb', 'pessimistic'"),
    ("too many candidates", "POST", "/v1/rank", {"json": RANK | {"candidates": ["a"] * 21}}, 422, "limit 20"),
    ("no candidates", "POST", "/v1/rank", {"json": RANK | {"candidates": []}}, 422, "candidates"),
    ("top_n of 0", "POST", "/v1/rank", {"json": RANK | {"top_n": 0}}, 422, "top_n"),
    ("no b", "POST", "/v1/compare", {"json": {"prompt": "p", "a": "x"}}, 422, "b: required"),
    ("no audit yet", "GET", "/v1/audits/latest", {}, 404, "POST /v1/audits"),
    ("unknown audit", "GET", f"/v1/audits/{'0' * 64}", {}, 404, "0000"),
    ("malformed audit id", "GET", "/v1/audits/nope", {}, 422, "nope"),
    ("not JSON", "POST", "/v1/score", {"content": "{", "headers": JSON}, 422, "JSON"),
    (
        "too deep",
        "POST",
        "/v1/score",
        {"content": "[" * 100_000, "headers": JSON},
        422,
        "deep > limit 100",
    ),
    ("a number for a truth value", "POST", "/score", {"json": PAIRS | {"use_activation": 0}}, 422, "valid boolean"),
    ("a word for a truth value", "POST", "/v1/score", {"json": SCORE | {"detail": "no"}}, 422, "valid boolean"),
    ("a number in quotes", "POST", "/v1/score", {"json": SCORE | {"mix": "0.5"}}, 422, "valid number"),
    ("a truth value for a number", "POST", "/v1/rank", {"json": RANK | {"top_n": True}}, 422, "JSON number"),
    ("a whole number in quotes", "POST", QUESTIONS, {"json": {"seed": "0"}}, 422, "JSON number"),
    ("not UTF-8", "POST", "/v1/score", {"content": b'{"prompts": ["\xff"]}', "headers": JSON}, 422, "UTF-8"),
    ("an integer that is no number", "POST", "/v1/rank", {"content": "9" * 5_000, "headers": JSON}, 422, "JSON"),
    ("a long response in messages", "POST", "/v1/score", {"json": SCORE | {"completions": [SAID * 201]}}, 422, "201"),
    ("no messages as a prompt", "POST", "/rm", {"json": {"prompt": [], "response": "b"}}, 422, "prompt"),
    ("no messages to verify", "POST", "/verify", {"json": VERIFY}, 422, "input"),
    ("not sent as JSON", "POST", "/verify", {"content": json.dumps(VERIFY)}, 422, "body"),
    (
        "template nobody reads",
        "POST",
        "/rm?template=guess",
        {"json": {"prompt": [ASKED], "response": "b"}},
        422,
        "guess",
    ),
    ("empty template", "POST", "/rm?template=", {"json": {"prompt": "a", "response": "b"}}, 422, "unknown"),
    (
        "empty name",
        "POST",
        "/rm",
        {"json": {"prompt": "a", "response": "b"}, "headers": {"X-User-Id": ""}},
        422,
        "user_id",
    ),
    ("no content type", "POST", "/v1/score", {"content": json.dumps(SCORE)}, 422, "body"),
    ("large body", "POST", "/v1/score", {"content": b"x" * 200_001, "headers": JSON}, 413, "KEEL_MAX_BODY_BYTES"),
    ("unknown route", "GET", "/v2/score", {}, 404, "/docs"),
    ("wrong method", "GET", "/v1/score", {}, 405, "/docs"),
]


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
async def test_bad_input_is_refused_with_help_and_changes_nothing(
    situation: Situation, settings: Settings, method: str, path: str, request_: dict[str, Any], status: int, says: str
) -> None:
    before = dump(settings.database)
    arguments = filled(request_, situation)
    response = await situation.http.request(method, path, **arguments)
    assert says in problem_of(response, status)
    assert dump(settings.database) == before


def filled(value: Any, situation: Situation) -> Any:
    """The request with the situation's ids in place of their names in braces."""
    match value:
        case dict():
            return {key: filled(item, situation) for key, item in value.items()}
        case list():
            return [filled(item, situation) for item in value]
        case str():
            for name in ("open", "bobs", "answered", "version"):
                value = value.replace(f"{{{name}}}", getattr(situation, name))
    return value


async def test_a_version_beyond_the_log_is_not_found(situation: Situation) -> None:
    later = situation.version.replace("1-", "7-", 1)
    response = await situation.http.get("/v1/users/ada/profile", params={"version": later})
    assert later in problem_of(response, 404)


async def test_an_unexpected_error_tells_nothing_of_the_insides(
    http: httpx.AsyncClient, service_app: FastAPI, capfd: pytest.CaptureFixture[str]
) -> None:
    @service_app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the password is swordfish")

    detail = problem_of(await http.get("/broken"), 500)
    assert "swordfish" not in detail


async def test_a_refused_method_names_all_that_its_path_takes(http: httpx.AsyncClient) -> None:
    for path, methods in (("/v1/appeals", "GET, POST"), ("/v1/users/ada", "DELETE"), ("/u/ada/score", "POST")):
        reply = await http.put(path)
        problem_of(reply, 405)
        assert reply.headers["allow"] == methods


def test_every_exception_of_ours_has_a_status() -> None:
    def leaves(kind: type[KeelError]) -> list[type[KeelError]]:
        return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]

    for kind in leaves(KeelError):
        assert status_of(kind("x")) in STATUS.values()
