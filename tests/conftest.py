"""A small artifact over the real encoder and bank: six heads with random weights, and the service on top of it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import hypothesis
import pytest
import torch
from fastapi import FastAPI
from listening import listening

from app.http.api import create_app, default_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from elicitation.choice import ChoiceModel
from elicitation.population import Component, Population
from keel import Client
from reward_bases.artifact import DEFAULT, Artifact
from reward_bases.bank import Bank, load_bank
from reward_bases.basis import Basis, Head
from reward_bases.sources.embedding import Reading
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.encoder_files import MINILM_SHA256, load_encoder
from reward_bases.sources.features import feature_names, text_and_encoder
from reward_bases.sources.phi import columns_of
from reward_bases.sources.source import Pair

# The same examples in every run, and no deadline, which a busy machine would miss.
hypothesis.settings.load_profile("ci")

HEADS = ("brevity", "formality", "structure", "warmth", "examples", "quality")
PROMPTS_PER_PART = {"questions": 6, "heads": 1, "test": 1}
COMPONENTS = 4


@pytest.fixture(scope="session", autouse=True)
def no_file_of_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests read no file of settings of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("configuration")))
        patch.delenv("KEEL_CONFIG", raising=False)
        yield


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder()


@pytest.fixture(scope="session")
def bank() -> Bank:
    """The first prompts of every part of the shipped bank."""
    whole = load_bank(DEFAULT / "bank.json")
    prompts = [prompt for part, n in PROMPTS_PER_PART.items() for prompt in whole.part(part)[:n]]
    return dataclasses.replace(whole, version="small", prompts=tuple(prompts))


@pytest.fixture(scope="session")
def artifact(encoder: Encoder, bank: Bank) -> Artifact:
    """Heads that are random but real: every φ of a bank answer comes from its text."""
    generator = torch.Generator().manual_seed(5)
    rows = [(prompt.conversation, answer) for prompt in bank.prompts for answer in prompt.answers]
    pairs = [Pair(conversation, answer.text) for conversation, answer in rows]
    components = torch.randn(COMPONENTS, encoder.dimension, generator=generator, dtype=torch.float64)
    sources = text_and_encoder(Reading(encoder.encode), encoder.sha256, components)
    plain = asyncio.run(columns_of(pairs, sources))
    scale = plain.std(0).clamp_min(1e-3)
    weights = torch.randn(len(HEADS), len(feature_names(COMPONENTS)), generator=generator, dtype=torch.float64) / scale
    raw = plain @ weights.T
    heads = tuple(Head(name, f"low {name}", f"high {name}", "designed", name == "quality", name) for name in HEADS)
    everything = torch.full((plain.shape[1],), torch.inf, dtype=torch.float64)
    constants = (components, -everything, everything, weights, raw.mean(0), raw.std(0))
    basis = Basis("basis-1", "minilm", MINILM_SHA256, heads, *constants)
    k = len(HEADS)
    mean = torch.linspace(-0.4, 0.8, k, dtype=torch.float64)
    covariance = torch.diag(torch.tensor([1.0] * (k - 1) + [0.0], dtype=torch.float64))
    return Artifact(
        basis=basis,
        population=Population((Component(1.0, mean, covariance),)),
        population_version="population-1",
        choice_model=ChoiceModel(side_bias=0.1),
        reference=torch.randn(10, 16, k, generator=generator, dtype=torch.float64),
        bank=bank,
        bank_phi=dict(zip([row[1].id for row in rows], basis.standardise(raw), strict=True)),
        budget={"divergence": 0.5, "starc": 0.35},
        agreement={},
        card={},
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, max_items=300, max_candidates=20, max_people=3, max_body_bytes=200_000)


@pytest.fixture
def engine(artifact: Artifact, encoder: Encoder) -> Engine:
    return Engine(artifact, lambda: encoder, cache_vectors=1000, cache_items=1000)


@pytest.fixture
async def service_app(settings: Settings, engine: Engine) -> AsyncIterator[FastAPI]:
    """The service in this process, started and stopped."""
    app = create_app(settings, open_store(settings), engine)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def http(service_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Requests straight into the service, without a socket."""
    transport = httpx.ASGITransport(app=service_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="session")
def listen() -> Callable[[FastAPI], AbstractContextManager[str]]:
    """Serves an app on a free port and gives its address."""
    return listening


@pytest.fixture
def live(settings: Settings, engine: Engine) -> Iterator[str]:
    """The address of a real server with the service behind it."""
    with listening(create_app(settings, open_store(settings), engine)) as address:
        yield address


@pytest.fixture
def serve() -> Callable[[Settings], AbstractContextManager[Client]]:
    """A client of a real server with the given settings, ready."""

    @contextmanager
    def served(settings: Settings) -> Iterator[Client]:
        with listening(default_app(settings)) as address, Client(address, timeout=60) as client:
            yield client

    return served
