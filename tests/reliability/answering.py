"""Clients that ask and answer without end, and write down what was acknowledged to them."""

import random
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

ANSWERS_EACH = 16
"""Answers of one person: a refit costs more with each, and a person has 140 prompts at most."""
ASKED = {"rule": "random", "force": True}
REPEATED = 0.1
"""Share of acknowledged answers that are sent again at once."""


@dataclass(frozen=True)
class Acknowledged:
    """One answer's person, Idempotency-Key, request and reply, and when the reply came."""

    person: str
    key: str
    body: dict[str, str]
    reply: dict[str, Any]
    at: float


@dataclass
class Client:
    """One thread's people, one after the other. What is not acknowledged is sent again until it is."""

    address: str
    name: str
    stopped: threading.Event
    acknowledged: list[Acknowledged] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.address, timeout=30)

    def run(self) -> None:
        chance = random.Random(self.name)
        number = 0
        while not self.stopped.is_set():
            person = f"{self.name}-{number // ANSWERS_EACH}"
            number += 1
            asked = self._until_done(f"/v1/users/{person}/questions", ASKED, "", (200, 201))
            if asked is None:
                return
            key = secrets.token_hex(8)
            body = {"question_id": asked["question_id"], "choice": chance.choice(("left", "right", "same"))}
            for _ in range(1 + (chance.random() < REPEATED)):
                reply = self._until_done(f"/v1/users/{person}/answers", body, key, (201,))
                if reply is not None:
                    self.acknowledged.append(Acknowledged(person, key, body, reply, time.monotonic()))

    def _until_done(self, path: str, body: dict[str, Any], key: str, wanted: Sequence[int]) -> dict[str, Any] | None:
        """The reply, however often it takes; None when it is time to stop."""
        headers = {"Idempotency-Key": key} if key else {}
        while not self.stopped.is_set():
            try:
                reply = self.http.post(path, json=body, headers=headers)
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            if reply.status_code in wanted:
                content: dict[str, Any] = reply.json()
                return content
            if reply.status_code != 503:
                self.faults.append(f"{reply.status_code} {reply.text}")
                return None
            time.sleep(0.1)
        return None


class Crowd:
    """Clients on threads of their own."""

    def __init__(self, address: str, size: int) -> None:
        self._stopped = threading.Event()
        self.clients = [Client(address, f"c{n}", self._stopped) for n in range(size)]
        self._threads = [threading.Thread(target=client.run) for client in self.clients]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        for client in self.clients:
            client.http.close()

    @property
    def acknowledged(self) -> list[Acknowledged]:
        return [one for client in self.clients for one in list(client.acknowledged)]

    @property
    def count(self) -> int:
        """Answers acknowledged, each once however often it was sent."""
        return len({(one.person, one.key) for one in self.acknowledged})

    @property
    def faults(self) -> list[str]:
        return [fault for client in self.clients for fault in client.faults]
