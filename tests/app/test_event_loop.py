"""No ordinary request keeps others waiting, the first of its kind in a new process included."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from listening import Served, serving
from stalls import probed

pytestmark = pytest.mark.slow
STALL_SECONDS = 0.2
"""By which the service may delay one reply of its health."""
ADA = "/v1/users/ada"
PAIR = {"prompt": "Basil?", "response": "Water it."}
SCORED = {"prompts": ["Basil?"] * 8, "completions": [f"Water it {n} times." for n in range(8)]}
RANKED = {"prompt": "Basil?", "candidates": ["Water it.", "Give it light."]}
DOCUMENTS = {"query": "Basil?", "documents": ["Water it.", "Give it light."]}
Send = Callable[[httpx.Client], httpx.Response]


def post(path: str, body: object) -> Send:
    return lambda http: http.post(path, json=body)


def get(path: str) -> Send:
    return lambda http: http.get(path)


def answer(http: httpx.Client) -> httpx.Response:
    """The open question's."""
    asked = http.post(f"{ADA}/questions", json={"force": True}).raise_for_status().json()
    return http.post(f"{ADA}/answers", json={"question_id": asked["question_id"], "choice": "left"})


def rate(http: httpx.Client) -> httpx.Response:
    asked = http.post(f"{ADA}/questions", json={"force": True}).raise_for_status().json()
    return http.post(f"{ADA}/anchors", json={"question_id": asked["question_id"], "side": "left", "level": "excellent"})


REQUESTS: dict[str, Send] = {
    "document": get("/openapi.json"),
    "documentation": get("/docs"),
    "info": get("/info"),
    "metrics": get("/metrics"),
    "readiness": get("/health/ready"),
    "score": post("/v1/score", SCORED),
    "question": post(f"{ADA}/questions", {}),
    "answer": answer,
    "second answer": answer,
    "rating": rate,
    "profile": get(f"{ADA}/profile"),
    "own score": post("/v1/score", {**SCORED, "user_id": "ada"}),
    "rank": post("/v1/rank", {**RANKED, "user_id": "ada"}),
    "compare": post("/v1/compare", {"prompt": "Basil?", "a": "Water it.", "b": "Light."}),
    "own audit": get(f"{ADA}/audit"),
    "audit": post("/v1/audits", {}),
    "last audit": get("/v1/audits/latest"),
    "export": get(f"{ADA}/export"),
    "rows": get(f"{ADA}/export/preferences"),
    "appeal": post("/v1/appeals", {**PAIR, "response": "", "user_id": "ada"}),
    "appeals": get("/v1/appeals"),
    "door": post("/rm", PAIR),
    "reranking": post("/rerank", DOCUMENTS),
    "undo": lambda http: http.delete(f"{ADA}/answers/last"),
    "erasure": lambda http: http.delete(ADA),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("loop")
    with serving(folder, OMP_NUM_THREADS="1") as served:
        yield served


@pytest.mark.parametrize("name", REQUESTS)
def test_health_waits_for_little_work_during_the_first_request_of_a_kind(served: Served, name: str) -> None:
    with httpx.Client(base_url=served.address, timeout=60) as http, probed(served.address, served.pid) as stalls:
        reply = REQUESTS[name](http)
    print(f"{name}: {max(stalls):.3f} s at most in {len(stalls)} replies")
    assert reply.status_code < 400, reply.text
    assert max(stalls) < STALL_SECONDS
