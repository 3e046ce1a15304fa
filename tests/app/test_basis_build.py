"""From a reward model, a judge and a function of one's own to personal rewards: ``keel basis build``, served."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import copytree

import httpx
import pytest
import torch
from built_basis import built_from, served
from judge_server import JudgeServer
from listening import listening
from tiny_reward_model import save_reward_model

from app.http.api import default_engine
from app.profiles.basis import open_artifact
from app.settings import Settings
from app.sources import remote
from app.sources.opening import openers
from app.storage.judgments import FILE, Judgments
from elicitation.errors import ArtifactMismatch
from reward_bases.artifact import DEFAULT, Artifact, load_artifact
from reward_bases.recipe.reading import read_recipe
from reward_bases.sources.source import Pair
from safeguards.policy import GuardPolicy

pytestmark = pytest.mark.slow
RECIPE = """
[sources.rm]
kind = "reward_model"
model = "model"
outputs = ["helpful", "safe"]

[sources.own]
kind = "function"
call = "asking:asks"

[sources.judge]
kind = "judge"
url = "URL"
model = "m"
rubric = "rubric.toml"

[heads.helpful]
columns = { "rm.helpful" = 1.0, "rm.safe" = 0.5 }
protected = true
aggregate = 1.0
low = "less helpful"
high = "more helpful"

[heads.asks]
column = "own.asks"
std = 2.0
low = "that ask nothing"
high = "that ask back"

[heads.warm]
column = "judge.warm"
std = 0.5
low = "cool"
high = "warm"
"""
RUBRIC = '[[criteria]]\nname = "warm"\ntext = "it is warm"\nreason_first = true\n'
FUNCTION = """
def asks(conversations, responses):
    return {"asks": [float(said.count("?")) for said in responses]}


asks.names, asks.version = ("asks",), "1"
"""
BODY = {
    "prompts": ["Basil?"] * 3,
    "completions": ["Water it.", "Is it pale? Does it droop?", "Give it light, and wait."],
}


@pytest.fixture(scope="module")
def judge() -> JudgeServer:
    return JudgeServer()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, judge: JudgeServer) -> Iterator[Path]:
    """The folder that the command wrote."""
    folder = tmp_path_factory.mktemp("recipe")
    save_reward_model(folder / "model", ("helpful", "safe"))
    (folder / "asking.py").write_text(FUNCTION)
    (folder / "rubric.toml").write_text(RUBRIC)
    with pytest.MonkeyPatch.context() as patch, listening(judge.app) as address:
        (folder / "recipe.toml").write_text(RECIPE.replace("URL", f"{address}/v1"))
        patch.syspath_prepend(str(folder))
        basis, ran = built_from(folder, patch)
        assert [head["name"] for head in json.loads(ran.stdout)["heads"]] == ["helpful", "asks", "warm"]
        assert "1120 pairs are read by each source: rm, own, judge" in ran.stderr
        yield basis


@pytest.fixture(scope="module")
def artifact(built: Path) -> Artifact:
    return open_artifact(built)


@pytest.fixture
async def http(built: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(built, tmp_path) as client:
        yield client


def test_the_heads_that_were_there_keep_their_weights_and_units(artifact: Artifact) -> None:
    shipped = load_artifact()
    k, width = shipped.basis.weights.shape
    assert artifact.basis.names == (*shipped.basis.names, "helpful", "asks", "warm")
    assert torch.equal(artifact.basis.weights[:k, :width], shipped.basis.weights)
    assert torch.equal(artifact.basis.spread[:k], shipped.basis.spread)
    assert artifact.basis.version != shipped.basis.version
    phi = torch.stack(list(artifact.bank_phi.values()))
    assert torch.allclose(phi[:, :k], torch.stack(list(shipped.bank_phi.values())), atol=1e-5)
    assert torch.allclose(artifact.reference.flatten(0, 1), phi)


def test_the_guard_is_tuned_on_all_heads_and_holds_them(artifact: Artifact, built: Path) -> None:
    assert json.loads((built / "guard.json").read_text())["rows"]
    policy = GuardPolicy.of(artifact)
    generator = torch.Generator().manual_seed(0)
    aggregate = artifact.population.mean
    own, base = (lambda c: policy.reference.phi @ c), policy.reference.phi @ aggregate
    for _ in range(50):
        mean = aggregate + 10 * torch.randn(len(aggregate), generator=generator, dtype=torch.float64)
        found = policy.guarded(mean, artifact.population.covariance).coefficients
        p = own(found).softmax(1)
        divergence = (p * (own(found).log_softmax(1) - base.log_softmax(1))).sum(1).max()
        assert float(divergence) <= artifact.budget["divergence"] + 1e-9
        held = [artifact.basis.names.index(name) for name in ("helpful", "quality")]
        assert torch.equal(found[held], aggregate[held])


async def test_a_reward_is_the_sum_of_its_components_those_of_the_recipe_among_them(http: httpx.AsyncClient) -> None:
    reply = (await http.post("/v1/score", json={**BODY, "components": True})).raise_for_status().json()
    assert set(reply["components"]) >= {"helpful", "asks", "warm", "brevity", "gate"}
    for row, reward in enumerate(reply["rewards"]):
        assert sum(shares[row] for shares in reply["components"].values()) == pytest.approx(reward)
    assert len(set(reply["components"]["helpful"])) == 3


async def test_answers_move_a_head_of_the_recipe(http: httpx.AsyncClient, artifact: Artifact) -> None:
    place = artifact.basis.names.index("asks")
    asked = {prompt.conversation.last_user: {a.text: a.id for a in prompt.answers} for prompt in artifact.bank.prompts}
    for _ in range(8):
        question = (await http.post("/v1/users/ada/questions", json={"force": True})).raise_for_status().json()
        ids = asked[question["prompt"]]
        left, right = (float(artifact.bank_phi[ids[question[side]]][place]) for side in ("left", "right"))
        choice = "same" if left == right else "left" if left > right else "right"
        answer = {"question_id": question["question_id"], "choice": choice}
        (await http.post("/v1/users/ada/answers", json=answer)).raise_for_status()
    heads = {head["name"]: head for head in (await http.get("/v1/users/ada/profile")).json()["heads"]}
    assert heads["asks"]["mean"] > 0.3
    assert heads["helpful"]["guarded"] == pytest.approx(heads["helpful"]["aggregate"])


async def test_a_judge_is_asked_once_for_all_people_and_never_again(
    http: httpx.AsyncClient, judge: JudgeServer, built: Path
) -> None:
    before, body = len(judge.asked), {"prompts": ["Mint?"] * 2, "completions": ["Cut it back.", "Let it grow on."]}
    ids = [f"person-{number}" for number in range(5)]
    for name in ids:
        (await http.post(f"/v1/users/{name}/questions", json={})).raise_for_status()
    await asyncio.gather(*(http.post("/v1/score", json={**body, "user_id": name}) for name in ids))
    assert len(judge.asked) == before + 2
    recipe = read_recipe(built.parent / "recipe.toml")
    kept, bank = Judgments(built.parent / "data" / FILE), load_artifact(built).bank
    answers = [Pair(p.conversation, answer.text) for p in bank.prompts for answer in p.answers]
    await openers(kept)["judge"](recipe.sources[2].settings).columns(answers)
    await kept.close()
    assert len(judge.asked) == before + 2


async def test_a_judge_that_is_away_is_503_with_its_name_and_no_reward(
    http: httpx.AsyncClient, judge: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(judge, "always", "busy")
    reply = await http.post("/v1/score", json={"prompts": ["Sage?"], "completions": ["Prune it in spring."]})
    assert (reply.status_code, "Retry-After" in reply.headers) == (503, True)
    assert "source judge could not read 1 of 1 pairs, row 0: down" in reply.json()["detail"]


def test_a_service_refuses_another_model_than_the_basis_was_built_on(built: Path, tmp_path: Path) -> None:
    changed = copytree(built, tmp_path / "basis")
    model = save_reward_model(tmp_path / "model", ("helpful", "safe"), seed=1)
    card = json.loads((changed / "card.json").read_text())
    card["sources"][0]["settings"]["model"] = str(model)
    (changed / "card.json").write_text(json.dumps(card))
    with pytest.raises(ArtifactMismatch, match="source rm has version"):
        default_engine(Settings(basis=changed, data_dir=tmp_path))


def test_a_card_without_sources_has_the_version_that_it_always_had() -> None:
    assert load_artifact(DEFAULT).basis.version == json.loads((DEFAULT / "card.json").read_text())["basis_version"]
    assert load_artifact(DEFAULT).sources == ()
