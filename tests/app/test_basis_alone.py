"""A reward model as the only head: Keel's aggregate orders responses exactly as the model does."""

from collections.abc import AsyncIterator, Iterator
from itertools import combinations
from pathlib import Path

import httpx
import pytest
import torch
from built_basis import built_from, served
from tiny_reward_model import save_reward_model

from reward_bases.artifact import load_artifact
from reward_bases.sources.reward_model import RewardModelSource
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation

pytestmark = pytest.mark.slow
PROMPT = "How do I keep basil alive?"
RECIPE = """
include = []
[sources.rm]
kind = "reward_model"
model = "model"

[heads.good]
column = "rm.score"
aggregate = 1.0
std = 0.0
protected = true
low = "worse"
high = "better"
"""
TIED = 1e-4
"""A smaller difference of the model's scores may turn round: it adds up float32 in another order."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("alone")
    save_reward_model(folder / "model")
    (folder / "recipe.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        yield built_from(folder, patch)[0]


@pytest.fixture
async def http(built: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(built, tmp_path) as client:
        yield client


def test_the_new_head_is_alone(built: Path) -> None:
    artifact = load_artifact(built)
    assert artifact.basis.names == ("good",)
    assert artifact.reference.shape[2] == 1
    assert artifact.card["data"] == []


async def test_the_aggregate_has_no_inversion_of_the_model_s_order(built: Path, http: httpx.AsyncClient) -> None:
    draw = torch.Generator().manual_seed(0)
    words = ["water", "light", "pot", "soil", "prune", "wait", "window", "spring", "herb", "leaf"]
    texts = [
        " ".join(words[place] for place in torch.randint(len(words), (8,), generator=draw).tolist()) + "."
        for _ in range(64)
    ]
    found = await http.post("/v1/score", json={"prompts": [PROMPT] * 64, "completions": texts, "detail": True})
    reply = found.raise_for_status().json()
    passed = [row for row in range(64) if reply["details"][row]["gate"]["pass"]]
    model = RewardModelSource.load(built.parent / "model")
    scores = (await model.columns([Pair(Conversation.of(PROMPT), text) for text in texts])).values[:, 0].tolist()
    pairs = [(a, b) for a, b in combinations(passed, 2) if abs(scores[a] - scores[b]) > TIED]
    assert len(pairs) > 500
    inversions = [
        pair
        for pair in pairs
        if (scores[pair[0]] > scores[pair[1]]) != (reply["rewards"][pair[0]] > reply["rewards"][pair[1]])
    ]
    assert inversions == []


async def test_the_page_of_a_person_works_without_shipped_heads(http: httpx.AsyncClient) -> None:
    (await http.post("/v1/users/ada/questions", json={"force": True})).raise_for_status()
    profile = (await http.get("/v1/users/ada/profile")).raise_for_status().json()
    assert [head["name"] for head in profile["heads"]] == ["good"]
    assert (await http.post("/v1/audits", json={})).status_code in (200, 201, 202)
