"""Bodies that cost a service more than they cost their sender: no 500, small replies, and health in time."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listening import Served, listening, serving
from stalls import probed

from app.http.api import create_app
from app.http.json_bounds import require_bounded
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from elicitation.errors import InvalidInput
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

JSON = {"content-type": "application/json"}
SMALL_REPLY = 20_000
MEBIBYTE = 2**20
TAKES_ANYTHING = "/seed_session"
"""An agent's row may hold anything, and nothing of it is read."""
STALL_SECONDS = 0.2
"""By which the service may delay one reply of its health."""


def posts(app: FastAPI) -> dict[str, list[str]]:
    """For each path that takes a body, the names of the body's fields."""
    api = app.openapi()
    routes = {
        path: item["post"]["requestBody"]
        for path, item in api["paths"].items()
        if "requestBody" in item.get("post", {})
    }
    found = {}
    for path, body in routes.items():
        text = json.dumps(body["content"]["application/json"]["schema"])
        schemas = [schema for name, schema in api["components"]["schemas"].items() if f'/{name}"' in text]
        found[path.format(user_id="ada", appeal_id="a1")] = sorted(
            {name for s in schemas for name in s.get("properties", {})}
        )
    return found


@pytest.fixture(scope="module")
def app(artifact: Artifact, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    served = Settings(data_dir=tmp_path_factory.mktemp("hostile"))
    return create_app(served, open_store(served), Engine(artifact, lambda: encoder, 1000, 1000))


@pytest.fixture(scope="module")
def service(app: FastAPI) -> Iterator[httpx.Client]:
    with listening(app) as address, httpx.Client(base_url=address, timeout=120) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.05)
        client.post("/v1/users/ada/questions").raise_for_status()
        yield client


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.sampled_from([10**400, -(10**4200), 2**63, 1e308, "\ud800", "\x00", "", "a", "ada", "keel/\udfff", "left"]),
    st.text(st.characters(codec=None), max_size=20),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["role", "content", "text", "user_id", "type", "input", "output", "\ud800"]), inner
        ),
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_is_answered_with_500(service: httpx.Client, app: FastAPI, data: st.DataObject) -> None:
    path, names = data.draw(st.sampled_from(sorted(posts(app).items())))
    members = data.draw(st.lists(st.tuples(st.sampled_from([*names, "x"]), VALUES), max_size=6))
    # Joined by hand, so that a name may stand in an object twice.
    content = "{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in members) + "}"
    reply = service.post(path, content=content, headers=JSON)
    assert reply.status_code < 500, (path, content)


def nested(depth: int, inside: str = "1") -> str:
    return "[" * depth + inside + "]" * depth


BROKEN = {
    "deep lists": nested(50_000),
    "deep objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "deep inside a field": f'{{"response": {nested(5_000)}, "prompt": {nested(500)}}}',
    "a long integer": f'{{"seed": {"9" * 100_000}}}',
    "a long float": f'{{"mix": 0.{"9" * 100_000}}}',
    "UTF-16": '{"prompts": ["a"]}'.encode("utf-16"),
    "unclosed": '["' + "a" * 1000,
    "half an escape": '{"a": "\\',
}


@pytest.mark.parametrize("case", BROKEN)
def test_bodies_that_break_parsers_are_refused_on_every_route(service: httpx.Client, app: FastAPI, case: str) -> None:
    for path in posts(app):
        for body in (BROKEN[case],):
            reply = service.post(path, content=body, headers=JSON)
            ignored = path.endswith(("questions", TAKES_ANYTHING)) and reply.status_code == 200
            assert 400 <= reply.status_code < 500 or ignored, path
            assert len(reply.content) < SMALL_REPLY


def test_depth_and_values_are_counted_outside_of_strings_alone() -> None:
    require_bounded(json.dumps({"a": "[" * 1000 + ',"' * 1000 + "\\" * 7}).encode(), 10)
    require_bounded(nested(100).encode(), 200)
    for body in (nested(101), '{"a":' * 101, '["\\\\",' + nested(100) + "]"):
        with pytest.raises(InvalidInput, match="deep > limit 100"):
            require_bounded(body.encode(), 300)
    for body in ("[" + "1," * 11, '{"a":"b",' * 11, "[]" * 11, '"a"' * 22):
        with pytest.raises(InvalidInput, match="values in the body > limit 10"):
            require_bounded(body.encode(), 10)


def rubbish(names: list[str]) -> Iterator[tuple[str, str]]:
    """A megabyte of what a field does not take, in each field."""
    for name in names:
        for kind, value in (
            ("numbers", "[" + ",".join(["0"] * 90_000) + "]"),
            ("objects", "[" + ",".join(["{}"] * 45_000) + "]"),
            ("names", "{" + ",".join(f'"name {n}":{n}' for n in range(60_000)) + "}"),
            ("one text", f'"{"x" * MEBIBYTE}"'),
            ("texts", "[" + ",".join(['"' + "x" * 100 + '"'] * 10_000) + "]"),
            ("a large name", f'{{"{"x" * MEBIBYTE}": 1}}'),
        ):
            yield f"{kind} in {name}", f'{{"{name}": {value}}}'


@pytest.mark.slow
def test_a_megabyte_of_rubbish_gets_a_small_reply(service: httpx.Client, app: FastAPI) -> None:
    for path, names in posts(app).items():
        unknown = "{" + ",".join(f'"unknown {n}":{n}' for n in range(60_000)) + "}"
        for case, body in [("unknown names", unknown), *rubbish(names)]:
            reply = service.post(path, content=body, headers=JSON)
            ignored = path == TAKES_ANYTHING and reply.status_code == 200
            assert 400 <= reply.status_code < 500 or ignored, (path, case, reply.text[:500])
            assert len(reply.content) < SMALL_REPLY, (path, case)
            assert len(reply.json().get("errors", [])) <= 10


def test_a_reply_lists_the_first_ten_errors_and_counts_the_others(service: httpx.Client) -> None:
    body = {f"unknown {n}": n for n in range(30)} | {"prompts": ["a"], "completions": ["b"]}
    problem = service.post("/v1/score", json=body).json()
    assert len(problem["errors"]) == 10
    assert problem["detail"].endswith("(and 29 more)")


def test_a_long_rendered_text_is_refused_before_it_is_read(service: httpx.Client) -> None:
    turns = "<|im_start|>user\na<|im_end|>\n" * 10_000
    for path, body in (
        ("/classify?template=" + "{prompt}a{response}b", {"text": "a" * 3 * MEBIBYTE}),
        ("/v1/embeddings", {"input": [turns]}),
        ("/v1/score/evaluation", {"messages": [turns[:200_000]]}),
        ("/get_reward", {"query": ["a"] * 5_000}),
        ("/predict", {"inputs": [["a", "b"]] * 5_000}),
    ):
        reply = service.post(path, json=body)
        assert reply.status_code == 422, path
        assert any(word in reply.json()["detail"] for word in ("limit", "turns")), reply.text


def worst() -> dict[str, tuple[str, bytes]]:
    """Path and body, nearly 4 MiB, of requests that ask for the most work before any limit on texts."""
    text = "[INST] a" * 25_000
    rendered = json.dumps({"messages": [text] * 20})
    many = json.dumps({"prompts": ["a" * 1500] * 1024, "completions": ["b " * 1000] * 1024})
    values: dict[str, tuple[str, str]] = {
        "lists": ("/v1/score", '{"prompts": [' + "[]," * 1_300_000 + "[]]}"),
        "numbers": ("/v1/rank", '{"candidates": [' + "1," * 2_000_000 + "1]}"),
        "members": ("/rm", "{" + ",".join(f'"{n}":{n}' for n in range(95_000)) + "}"),
        "messages": ("/rm", json.dumps({"prompt": [{"role": "user", "content": "a"}] * 33_000, "response": "b"})),
        "quotes": ("/verify", '"' * 4_000_000),
        "escapes": ("/verify", '"' + "\\\\" * 2_000_000 + '"'),
        "turns": ("/v1/score/evaluation", rendered),
        "template": (
            "/v1/score/evaluation?template={prompt}a{response}b",
            json.dumps({"messages": ["ab" * 100_000] * 20}),
        ),
        "texts": ("/v1/score", many),
        "an answer to echo": ("/verify", json.dumps({"x": [{"a": "b" * 70}] * 48_000, "response": 1})),
    }
    return {case: (path, body.encode()) for case, (path, body) in values.items()}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``keel serve`` in a process of its own: a client in the same process would hold Python's lock."""
    with serving(tmp_path_factory.mktemp("process"), OMP_NUM_THREADS="1") as served:
        time.sleep(1)
        yield served


@pytest.mark.slow
@pytest.mark.parametrize("case", worst())
def test_health_waits_for_little_work_during_the_worst_bodies(process: Served, case: str) -> None:
    path, body = worst()[case]
    assert MEBIBYTE < len(body) < 4 * MEBIBYTE

    def send(_: int) -> int:
        with httpx.Client(base_url=process.address, timeout=5) as client:
            try:
                return client.post(path, content=body, headers=JSON).status_code
            except httpx.TimeoutException:
                return 0

    with probed(process.address, process.pid) as stalls, ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(send, range(4)))
    print(f"{case}: {max(stalls):.3f} s at most in {len(stalls)} replies, {statuses}")
    assert 500 not in statuses
    assert len(stalls) > 1
    assert max(stalls) < STALL_SECONDS
