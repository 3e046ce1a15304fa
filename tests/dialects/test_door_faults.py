"""What goes wrong, goes wrong loudly: never a reward of 0, never a null, and each client in a format that it parses."""

import asyncio
import json
import re
import threading
from typing import Any

import httpx
import pytest
import torch
from senders import SENDERS, chatml, listening_service

from app.errors import Overloaded
from app.sources.encoding import EncodingQueue
from app.sources.turns import Limits
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

pytestmark = pytest.mark.slow

TURNS = [("user", "Basil?")]
HALF = "\ud800"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
BAD: dict[str, tuple[str, Any, str]] = {
    "no fields": ("/get_reward", {}, "query: required"),
    "no list": ("/get_reward", {"query": "x"}, "list"),
    "prompts without queries": ("/get_reward", {"query": [], "prompts": ["a"]}, "1 prompts for 0 queries"),
    "labels without queries": ("/get_reward", {"query": [], "labels": [1]}, "labels for 0 rows"),
    "no conversations, as LLaMA-Factory refuses": ("/v1/score/evaluation", {"messages": []}, "at least 1"),
    "more prompts than queries": ("/get_reward", {"query": ["a"], "prompts": ["a", "b"]}, "2 prompts for 1 queries"),
    "fewer labels than queries": ("/get_reward", {"query": ["ab"] * 2, "prompts": ["a"] * 2, "labels": [1]}, "labels"),
    "another prompt": ("/get_reward", {"query": ["ab"], "prompts": ["c"]}, "does not begin with its prompt"),
    "half a character": ("/rm", {"prompt": "a", "response": HALF}, "half a character"),
    "an empty prompt": ("/rm", {"prompt": " ", "response": "a"}, "a prompt is empty"),
    "a role of a robot": ("/rm", {"prompt": [{"role": "robot", "content": "a"}], "response": "a"}, "role 'robot'"),
    "a tool alone": ("/rm", {"prompt": [{"role": "tool", "content": "a"}], "response": "a"}, "no user turn"),
    "an image alone": ("/rm", {"prompt": [{"role": "user", "content": [IMAGE]}], "response": "a"}, "not read"),
    "an item of another kind": ("/verify", {"responses_create_params": {"input": [{"type": "x"}]}}, "'message'"),
    "no boundary": ("/v1/score/evaluation", {"messages": ["just text"]}, "?template="),
    "an unknown template": ("/classify?template=x", {"text": "just text"}, "'x' is unknown"),
    "no input": ("/classify", {"model": "m"}, "input or messages"),
    "an empty input": ("/v1/embeddings", {"input": []}, "input"),
    "both inputs": ("/v1/embeddings", {"input": "a", "messages": [{"content": "a"}]}, "either"),
    "no response": ("/classify", {"messages": [{"role": "user", "content": "a"}]}, "must be the assistant's"),
    "an image": ("/classify", {"messages": [{"role": "user", "content": [{"image_url": "x"}]}]}, "content"),
    "queries and documents that do not pair": ("/score", {"queries": ["a"] * 2, "documents": ["b"] * 3}, "2 queries"),
    "no queries": ("/v1/score", {"queries": [], "documents": []}, "0 queries"),
    "no documents": ("/v2/rerank", {"query": "a", "documents": []}, "documents"),
    "a document without text": ("/v1/rerank", {"query": "a", "documents": [{"title": "b"}]}, "documents"),
    "three texts in a pair": ("/predict", {"inputs": [["a", "b", "c"]]}, "3 texts"),
    "no texts": ("/rerank", {"query": "a", "texts": []}, "texts"),
    "half a character to echo": (
        "/verify",
        {"responses_create_params": {"input": "a"}, "response": {"output": []}, "x": HALF},
        "half a character",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_body_is_refused_for_good_with_a_reason(service: httpx.Client, case: str) -> None:
    path, body, reason = BAD[case]
    reply = service.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert reply.status_code == 422, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reason in reply.json()["detail"]
    assert "shape:" not in reply.text
    error = reply.json().get("error")
    if path in ("/rerank", "/predict"):
        assert error == reply.json()["detail"]
    elif path.startswith(("/classify", "/score", "/v1/embeddings")):
        assert error["message"] == reply.json()["detail"]
    else:
        assert error is None


@pytest.mark.parametrize("path", [*sorted({sender.path for sender in SENDERS.values()}), "/u/ada/rm"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b'"a"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(service: httpx.Client, path: str, content: bytes) -> None:
    reply = service.post(path, content=content, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422)
    assert reply.json()["detail"]


def test_clients_of_text_embeddings_inference_read_error_and_error_type(service: httpx.Client) -> None:
    for path, body in (("/predict", {"inputs": "x"}), ("/predict", {}), ("/rerank", {"query": "a", "texts": 3})):
        problem = service.post(path, json=body).json()
        assert problem["error"] == problem["detail"]
        assert problem["error_type"] == "Validation"


def test_the_native_body_of_a_shared_path_is_checked_as_ever(service: httpx.Client) -> None:
    reply = service.post("/v1/score", json={"prompts": ["a"], "completions": ["b"], "weight": 2})
    assert reply.json()["errors"] == [{"where": "weight", "detail": "unknown field, remove it"}]


def test_what_is_said_outside_of_the_body_is_checked(service: httpx.Client) -> None:
    body = SENDERS["openrlhf"].body(TURNS, "a")
    for query in (f"?template={'x' * 2000}", f"?profile_version={'x' * 200}", "?profile_version=3"):
        assert service.post(f"/u/ada/get_reward{query}", json=body).status_code == 422


class Slow:
    """An encoder that waits to be let go."""

    def __init__(self, encoder: Encoder) -> None:
        self.begun, self.go, self._encoder = threading.Event(), threading.Event(), encoder

    def encode(self, texts: Any) -> Any:
        self.begun.set()
        self.go.wait()
        return self._encoder.encode(texts)


def test_overload_is_answered_with_503_and_a_time_to_retry(
    artifact: Artifact, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    slow = Slow(encoder)
    folder = tmp_path_factory.mktemp("overload")
    with listening_service(artifact, slow, folder, max_waiting_texts=2) as url:  # type: ignore[arg-type]
        replies = asyncio.run(_overloaded(url, slow))
    waited, refused, tei = replies
    assert waited.status_code == 200
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "KEEL_MAX_WAITING_TEXTS" in refused.json()["detail"]
    assert "gate;" in waited.headers["Server-Timing"]
    assert not re.search("gate|columns|encode|wait", refused.headers["Server-Timing"]), "refused before any work"
    assert (tei.status_code, tei.json()["error_type"]) == (503, "Overloaded")


async def _overloaded(url: str, slow: Slow) -> tuple[httpx.Response, httpx.Response, httpx.Response]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        first = asyncio.create_task(http.post("/rm", json={"prompt": "Basil?", "response": "Give it light."}))
        await asyncio.to_thread(slow.begun.wait)
        refused = await http.post("/rm", json={"prompt": "Basil?", "response": "Water it now and then."})
        tei = await http.post("/predict", json={"inputs": ["Basil?", "Water it now and then."]})
        slow.go.set()
        return await first, refused, tei


async def test_a_queue_over_its_limit_still_answers_what_it_knows(encoder: Encoder) -> None:
    slow = Slow(encoder)
    queue = EncodingQueue(lambda: slow, 10, Limits(texts=1))
    slow.go.set()
    known = await queue.of(["a text"])
    slow.go.clear()
    waiting = asyncio.create_task(queue.of(["another"]))
    await asyncio.sleep(0)
    assert torch.equal(await queue.of(["a text"]), known)
    with pytest.raises(Overloaded, match="1 texts wait"):
        await queue.of(["a third"])
    slow.go.set()
    assert len(await waiting) == 1
    await queue.close()


class Broken:
    """An encoder that gives NaN, or nothing at all."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encode(self, texts: Any) -> Any:
        if any("explode" in text for text in texts):
            raise RuntimeError("out of memory")
        return self._encoder.encode(texts) * float("nan")


def test_an_encoder_that_fails_or_gives_nan_is_an_error_and_no_reward(
    artifact: Artifact, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken: Any = Broken(encoder)
    with (
        listening_service(artifact, broken, tmp_path_factory.mktemp("broken")) as url,
        httpx.Client(base_url=url, timeout=60) as http,
    ):
        for sender in SENDERS.values():
            for text in ("Give it light.", "Let it explode."):
                reply = http.post(sender.path, json=sender.body(TURNS, text))
                assert reply.status_code == 500, (sender, text)
                assert "NaN" not in reply.text


def test_a_person_erased_in_mid_run_stops_the_run(service: httpx.Client) -> None:
    service.post("/v1/users/cleo/questions").raise_for_status()
    body = {"query": [f"{chatml(TURNS)}Light."], "prompts": [chatml(TURNS)], "labels": [{"user_id": "cleo"}]}
    assert service.post("/get_reward", json=body).status_code == 200
    service.delete("/v1/users/cleo").raise_for_status()
    assert service.post("/get_reward", json=body).status_code == 404
