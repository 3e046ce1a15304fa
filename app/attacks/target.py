"""The service under attack: the real one, on a free port of this machine, over an empty data folder of its own."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import torch
import uvicorn
from torch import Tensor

from app.http.api import default_app
from app.http.service import Service
from app.profiles.profiles import Profile, Profiles
from app.settings import Settings
from app.storage.store import PersonKey
from elicitation.choice import Choice
from elicitation.errors import KeelError
from reward_bases.bank import BankPrompt
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation
from safeguards.guard import Guarded
from safeguards.score import Scale

T = TypeVar("T")
SECONDS_TO_START = 120.0
SEED = 0


@dataclass(frozen=True, eq=False)
class Rows:
    """φ (n, K) of responses and which of them the gate let through (n,)."""

    phi: Tensor
    passed: Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """A running service: over HTTP as anybody reaches it, and its parts for what only the operator sees."""

    http: httpx.Client
    settings: Settings
    service: Service
    loop: asyncio.AbstractEventLoop

    @property
    def profiles(self) -> Profiles:
        return self.service.profiles

    @property
    def aggregate(self) -> Tensor:
        return self.profiles.artifact.population.mean

    @property
    def texts(self) -> tuple[BankPrompt, ...]:
        """Prompts and real answers that taught no head and are never asked."""
        return self.profiles.artifact.bank.part("test")

    def rows(self, prompts: Sequence[str], responses: Sequence[str]) -> Rows:
        """Output of the service's own engine for texts."""
        conversations = [Conversation.of(prompt) for prompt in prompts]
        items = self.run(self.service.engine.items_of(conversations, list(responses)))
        return Rows(torch.stack([item.phi for item in items]), torch.tensor([item.gate.passed for item in items]))

    def ungated(self, prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        """φ (n, K) of texts, whatever the gate thinks of them."""
        pairs = [Pair(Conversation.of(prompt), said) for prompt, said in zip(prompts, responses, strict=True)]
        return self.run(self.service.engine.phi_of(pairs)).phi

    def profile(self, user_id: str, tenant: str = "local") -> Profile:
        """Somebody's profile as the service holds it."""

        async def found() -> Profile:
            (person,) = await self.service.store.find([PersonKey(tenant, user_id)])
            return await self.profiles.of(person)

        return self.run(found())

    def scale(self, coefficients: Tensor) -> Scale:
        return Scale.of(coefficients, self.profiles.policy.reference)

    def rewards(self, coefficients: Tensor, rows: Rows) -> Tensor:
        """Served rewards (n,), nats, under guarded ``coefficients`` (K,): the floor where the gate rejected."""
        scale = self.scale(coefficients)
        return torch.where(rows.passed, (rows.phi @ coefficients).clamp_min(scale.lowest), scale.floor)

    def guarded(self, mean: Tensor) -> Guarded:
        """The guard's result for a person with coefficients ``mean`` (K,)."""
        return self.profiles.policy.guarded(mean, torch.zeros(len(mean), len(mean), dtype=torch.float64))

    def refitted(self, profile: Profile, flipped: int) -> Guarded:
        """Served rewards of the same person with one answer, left or right, reversed."""
        evidence = profile.evidence
        choices = list(evidence.choices)
        choices[flipped] = Choice.RIGHT if choices[flipped] is Choice.LEFT else Choice.LEFT
        (fitted,) = self.profiles.model.fit([replace(evidence, choices=tuple(choices))])
        return fitted.guarded

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Something asynchronous, on the service's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


@contextmanager
def target(basis: Path | None = None) -> Iterator[Target]:
    """A fresh service without people; it and its data are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="keel-attack-") as folder:
        settings = Settings(data_dir=Path(folder), basis=basis)
        app = default_app(settings)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()))
        thread.start()
        try:
            address = _address(server, thread)
            with httpx.Client(base_url=address, timeout=300, trust_env=False) as http:
                _wait_until_ready(http)
                yield Target(http, settings, app.state.service, loop)
        finally:
            server.should_exit = True
            thread.join()
            loop.close()


def _address(server: uvicorn.Server, thread: threading.Thread) -> str:
    while not server.started:
        if not thread.is_alive():
            raise KeelError("the service ended while it started; run keel serve to see why")
        time.sleep(0.01)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def _wait_until_ready(http: httpx.Client) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while http.get("/health/ready").status_code != 200:
        if time.monotonic() > deadline:
            raise KeelError(f"the service was not ready within {SECONDS_TO_START:.0f} s; run keel serve to see why")
        time.sleep(0.1)
