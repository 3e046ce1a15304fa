"""``sources: "needed"``: the best candidate, with a judge asked only while that may change it."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from built_basis import built_from, served
from judge_server import JudgeServer
from listening import listening

from app.sources import remote

pytestmark = pytest.mark.slow
RECIPE = """
include = []
[reference]
file = "reference.jsonl"
[sources.own]
kind = "function"
call = "numbering:last"
[sources.judge]
kind = "judge"
url = "URL"
model = "m"
rubric = "rubric.toml"

[heads.high]
column = "own.last"
protected = true
aggregate = 1.0
low = "low"
high = "high"

[heads.warm]
column = "judge.warm"
protected = true
aggregate = 1.0
low = "cool"
high = "warm"
"""
RUBRIC = '[[criteria]]\nname = "warm"\ntext = "it is warm"\nreason_first = true\n'
FUNCTION = """
def last(conversations, responses):
    ends = (said.split()[-1].rstrip(".") for said in responses)
    return {"last": [float(end) if end.isdecimal() else 0.0 for end in ends]}


last.names, last.version = ("last",), "1"
"""
CANDIDATES = [f"Water it, and count to {number}." for number in range(16)]


@pytest.fixture(scope="module")
def judge() -> JudgeServer:
    return JudgeServer()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, judge: JudgeServer) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("needed")
    (folder / "numbering.py").write_text(FUNCTION)
    (folder / "rubric.toml").write_text(RUBRIC)
    responses = [f"Cut {herb} back to {number}." for herb in ("mint", "sage") for number in range(4)]
    sets = [{"prompt": f"Herb {number}?", "responses": responses} for number in range(20)]
    (folder / "reference.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in sets))
    with pytest.MonkeyPatch.context() as patch, listening(judge.app) as address:
        (folder / "recipe.toml").write_text(RECIPE.replace("URL", f"{address}/v1"))
        patch.syspath_prepend(str(folder))
        yield built_from(folder, patch)[0]


@pytest.fixture
async def http(built: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(built, tmp_path) as client:
        yield client


async def ranked(http: httpx.AsyncClient, prompt: str, **fields: Any) -> Mapping[str, Any]:
    body = {"prompt": prompt, "candidates": CANDIDATES, **fields}
    found: Mapping[str, Any] = (await http.post("/v1/rank", json=body)).raise_for_status().json()
    return found


async def test_the_pick_is_that_of_all_judgments_for_a_part_of_the_calls(
    http: httpx.AsyncClient, judge: JudgeServer
) -> None:
    same, calls = 0, 0
    for prompt in map("Which herb, in year {}?".format, range(40)):
        before = len(judge.asked)
        few = await ranked(http, prompt, sources="needed")
        calls += len(judge.asked) - before
        assert len(judge.asked) - before == len(few["results"]) == 16 - len(few["unjudged"])
        assert few["doubt"] <= 0.05
        every = await ranked(http, prompt)
        assert len(judge.asked) - before == 16
        scores = {result["index"]: result["score"] for result in every["results"]}
        assert all(result["score"] == scores[result["index"]] for result in few["results"])
        same += few["best"] == every["best"]
    assert same >= 36
    assert calls < 0.6 * 40 * 16


async def test_judged_and_unjudged_are_all_candidates_the_likeliest_first(http: httpx.AsyncClient) -> None:
    found = await ranked(http, "Mint?", sources="needed", doubt=0.5)
    judged, scores = [r["index"] for r in found["results"]], [r["score"] for r in found["results"]]
    assert sorted(judged + found["unjudged"]) == list(range(16))
    assert scores == sorted(scores, reverse=True)
    assert found["best"] == judged[0]
    assert found["unjudged"] == sorted(found["unjudged"], reverse=True)


async def test_what_is_at_hand_costs_no_call(http: httpx.AsyncClient, judge: JudgeServer) -> None:
    every = await ranked(http, "Sage?")
    before = len(judge.asked)
    found = await ranked(http, "Sage?", sources="needed")
    assert (len(judge.asked), found["unjudged"], found["doubt"]) == (before, [], 0.0)
    assert [r["index"] for r in found["results"]] == [r["index"] for r in every["results"]]


async def test_a_rejected_candidate_is_never_asked_about(http: httpx.AsyncClient, judge: JudgeServer) -> None:
    body = {"prompt": "Thyme?", "candidates": ["", "Water it 3.", ""], "sources": "needed"}
    before = len(judge.asked)
    found = (await http.post("/v1/rank", json=body)).raise_for_status().json()
    assert ([r["index"] for r in found["results"]], found["best"]) == ([1, 0, 2], 1)
    assert len(judge.asked) == before + 1
    nothing = (await http.post("/v1/rank", json={**body, "candidates": ["", ""]})).raise_for_status().json()
    assert (nothing["best"], nothing["unjudged"], nothing["doubt"]) == (None, [], 0.0)


async def test_a_judge_that_is_away_is_503(
    http: httpx.AsyncClient, judge: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(judge, "always", "busy")
    reply = await http.post("/v1/rank", json={"prompt": "Dill?", "candidates": CANDIDATES, "sources": "needed"})
    assert (reply.status_code, reply.json()["source"]) == (503, "judge")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sources": "needed", "curve": True}, "curve needs the rewards of all candidates"),
        ({"sources": "needed", "top_n": 2}, "top_n needs the rewards of all candidates"),
        ({"sources": "needed", "rule": "lcb", "kappa": 2.0}, "kappa needs the rewards of all candidates"),
        ({"doubt": 0.1}, "doubt belongs to sources 'needed'"),
        ({"sources": "some"}, "sources"),
        ({"sources": "needed", "doubt": 1.5}, "doubt"),
    ],
)
async def test_what_needs_all_rewards_is_refused(http: httpx.AsyncClient, fields: dict[str, Any], said: str) -> None:
    reply = await http.post("/v1/rank", json={"prompt": "Dill?", "candidates": CANDIDATES, **fields})
    assert reply.status_code == 422
    assert said in json.dumps(reply.json())
