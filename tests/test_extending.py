"""Every block of docs/extending.md runs, and what it adds is used by Keel."""

import asyncio
import importlib.util
import inspect
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import torch
from fastapi import FastAPI
from source_contract import Case, check_source

from app.http.api import create_app
from app.people.pool import Pool
from app.profiles.basis import open_artifact
from app.schemas.asking import AskRequest
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from app.storage.store import Answer, Entry, PersonKey, Store
from elicitation import acquisition
from reward_bases.artifact import Artifact
from reward_bases.sources.embedding import Reading
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.phi import phi_of
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation
from safeguards import audit_reference
from safeguards.findings import MIN_PEOPLE

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
PROMPT, SAID = "How do I keep basil alive?", ["Give it six hours of light.", "Water it when the soil is dry."]


def blocks(section: str) -> list[str]:
    """The Python blocks of a section; of the page's beginning for an empty name."""
    begin = rf"^## {re.escape(section)}\n" if section else r"\A"
    (part,) = re.findall(rf"{begin}(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return re.findall(r"```python\n(.*?)```", part, re.S)


def run(section: str) -> dict[str, Any]:
    """The names that a section's blocks define."""
    names: dict[str, Any] = {}
    exec("\n".join(blocks(section)), names)
    return names


def store_contract() -> ModuleType:
    """The module of the store's contract."""
    spec = importlib.util.spec_from_file_location("store_contract", ROOT / "tests/app/test_store.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STORE_CONTRACT = store_contract()
OF_ANY_STORE = [
    name
    for name, test in vars(STORE_CONTRACT).items()
    if name.startswith("test_") and list(inspect.signature(test).parameters) == ["store"]
]


async def answered(http: httpx.AsyncClient, name: str, choices: Sequence[str]) -> None:
    for choice in choices:
        question = (await http.post(f"/v1/users/{name}/questions", json={"force": True, "seed": 4})).json()
        body = {"question_id": question["question_id"], "choice": choice}
        assert (await http.post(f"/v1/users/{name}/answers", json=body)).status_code == 201


@asynccontextmanager
async def requests(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Requests straight into a service that is started and stopped."""
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


def test_no_block_of_the_page_is_left_out() -> None:
    sections = ["", *re.findall(r"^## (.*)$", PAGE, re.M)]
    tried = set(re.findall(r'run(?:\(|, )"(.*?)"', Path(__file__).read_text(encoding="utf-8")))
    assert tried == {section for section in sections if blocks(section)}


async def test_the_script_is_a_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEEL_DATA_DIR", str(tmp_path / "data"))
    async with requests(run("")["app"]) as http:
        assert (await http.post("/v1/users/ada/questions")).status_code == 201
    assert (tmp_path / "data" / "keel.db").is_file()


class TestSource:
    async def test_the_contract_holds(self) -> None:
        kind = run("A source")["Sentences"]
        await check_source(Case(kind, lambda: kind(".")))

    async def test_its_column_is_a_base_reward(self, artifact: Artifact, encoder: Encoder) -> None:
        names, basis = run("A source"), artifact.basis
        texts = [["Light.", "Light. Water? Soil!", "light"], ["Why?", "Soil. Water.", "Yes. No. Well!"]]
        counts = torch.tensor([[1, 3, 0], [1, 2, 3]], dtype=torch.float64)
        wider = names["with_column"](basis, names["sentences"], counts)
        sources = text_and_encoder(Reading(encoder.encode), basis.encoder_sha256, basis.components)
        pairs = [Pair(Conversation.of(PROMPT), text) for texts_of_prompt in texts for text in texts_of_prompt]
        plain = await phi_of(pairs, basis, sources)
        found = await phi_of(pairs, wider, [*sources, names["Sentences"]()])
        assert wider.names == (*basis.names, "sentences")
        torch.testing.assert_close(found.phi[:, :-1], plain.phi)
        column = found.phi[:, -1].reshape(2, 3)
        assert float(column.mean()) == pytest.approx(0)
        assert float((column - column.mean(1, keepdim=True)).square().sum() / 4) == pytest.approx(1)
        assert float(column[0, 1] - column[0, 0]) == pytest.approx(2 / float(wider.spread[-1]))


async def test_people_are_asked_from_a_bank(
    settings: Settings, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = await asyncio.to_thread(run, "A question bank")
    artifact = open_artifact(tmp_path / "herbs")
    assert artifact.bank_phi.keys() == {answer["id"] for prompt in names["prompts"] for answer in prompt["answers"]}
    engine = Engine(artifact, lambda: encoder, cache_vectors=100, cache_items=100)
    app = create_app(settings, open_store(settings), engine, tmp_path / "herbs")
    async with requests(app) as http:
        await answered(http, "ada", ["left", "right"])
        assert (await http.post("/v1/users/ada/questions", json={"force": True})).status_code == 204
        asked = {question.prompt_id for question in await app.state.service.store.questions(PersonKey("local", "ada"))}
    assert asked == {prompt["id"] for prompt in names["prompts"] if prompt["part"] == "questions"}


class TestStore:
    @pytest.fixture
    def published(self) -> list[tuple[PersonKey, Entry]]:
        return []

    @pytest.fixture
    def store(self, settings: Settings, published: list[tuple[PersonKey, Entry]]) -> Store:
        async def publish(key: PersonKey, entry: Entry) -> None:
            published.append((key, entry))

        store: Store = run("A store")["PublishingStore"](open_store(settings), publish)
        return store

    @pytest.mark.parametrize("name", OF_ANY_STORE)
    async def test_the_contract_holds(self, store: Store, name: str) -> None:
        await store.open()
        try:
            await getattr(STORE_CONTRACT, name)(store)
        finally:
            await store.close()

    async def test_answers_to_the_service_are_published(
        self, store: Store, published: list[tuple[PersonKey, Entry]], settings: Settings, engine: Engine
    ) -> None:
        async with requests(create_app(settings, store, engine)) as http:
            await answered(http, "ada", ["left", "skip"])
        assert [(key.user_id, entry.choice) for key, entry in published if isinstance(entry, Answer)] == [
            ("ada", "left"),
            ("ada", "skip"),
        ]


async def test_a_door_replies_with_the_reward_of_the_person_that_the_request_names(
    service_app: FastAPI, http: httpx.AsyncClient
) -> None:
    router = run("A door")["router"]
    service_app.include_router(router)
    service_app.include_router(router, prefix="/u/{user_id}")
    await answered(http, "ada", ["left", "right", "left"])
    native = {"prompts": [PROMPT] * 2, "completions": SAID}
    own = (await http.post("/v1/score", json={**native, "user_id": "ada"})).json()["rewards"]
    common = (await http.post("/v1/score", json=native)).json()["rewards"]
    body = {"question": PROMPT, "answers": SAID}
    assert own != common
    assert (await http.post("/grade", json=body)).json() == {"grades": pytest.approx(common)}
    assert (await http.post("/u/ada/grade", json=body)).json() == {"grades": pytest.approx(own)}
    assert (await http.post("/grade", json={**body, "user_id": "ada"})).json() == {"grades": pytest.approx(own)}
    assert (await http.post("/grade", json={**body, "answers": []})).status_code == 422


async def test_an_acquisition_rule_chooses_the_question_of_a_person(
    service_app: FastAPI, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Extended(StrEnum):
        WIDEST = "widest"

    monkeypatch.setattr(acquisition, "RULES", dict(acquisition.RULES))
    run("An acquisition rule")
    service, ada = service_app.state.service, PersonKey("local", "ada")
    # The enum of the API has no such member yet, so the request is made by hand.
    await service.asking.ask(ada, AskRequest.model_construct(rule=Extended.WIDEST, seed=1, force=True))
    (asked,) = await service.store.questions(ada)
    pool = Pool.of(artifact)
    difference = artifact.bank_phi[asked.left_id] - artifact.bank_phi[asked.right_id]
    spreads = (pool.differences @ artifact.population.covariance * pool.differences).sum(1)
    assert (asked.rule, asked.unit) == ("widest", "nats²")
    assert asked.expected_gain == pytest.approx(float(difference @ artifact.population.covariance @ difference))
    assert asked.expected_gain == pytest.approx(float(spreads.max()))


async def test_an_audit_metric_is_a_finding_of_every_report(
    http: httpx.AsyncClient, artifact: Artifact, service_app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reference, "MEASURES", list(audit_reference.MEASURES))
    before = (await http.post("/v1/audits")).json()["report"]["findings"]
    run("An audit metric")
    for person in range(MIN_PEOPLE):
        await answered(http, f"person{person}", ["left", "right"] if person % 2 else ["right", "right"])
    findings = (await http.post("/v1/audits")).json()["report"]["findings"]
    (finding,) = [finding for finding in findings if finding["number"] == 11]
    assert len(findings) == len(before) + 1
    profiles = service_app.state.service.profiles
    people = await service_app.state.service.store.people("local")
    guarded = torch.stack([(await profiles.of(person)).guarded.coefficients for person in people])
    deviation = (guarded - artifact.population.mean).abs()
    expected = (deviation.max(1).values / deviation.sum(1)).mean()
    assert finding["value"] == pytest.approx(float(expected))
    assert finding["low"] <= finding["value"] <= finding["high"]
    assert finding["nulls"]["aggregate"] == 0
    assert finding["status"] in ("green", "amber", "red")
