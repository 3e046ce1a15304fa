"""The synchronous client: one kept-alive connection, one method per verb of the service.

Connection errors, 429 and 503 are retried a few times with growing pauses; every other error reply raises at once.
"""

import itertools
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from keel import calls, wire
from keel.calls import Call, Text
from keel.replies import Comparison, Profile, Question, Ranking, Scores, Told, Undone

T = TypeVar("T")


class Client:
    """Talks to the service at ``url``; use it as a context manager or ``close`` it. ``transport`` is httpx's."""

    def __init__(
        self,
        url: str = wire.DEFAULT_URL,
        *,
        timeout: float = wire.DEFAULT_TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def ask(
        self, user_id: str, *, rule: str | None = None, seed: int | None = None, force: bool = False
    ) -> Question | None:
        """The open question, or a new one; None when no further question is worth asking (unless ``force``)."""
        return self._send(calls.ask(user_id, rule, seed, force))

    def tell(
        self,
        user_id: str,
        question_id: str,
        choice: str,
        *,
        strength: str | None = None,
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> Told:
        """Answer a question: ``choice`` is left, right, same, skip or both_poor; ``strength`` slight or clear."""
        return self._send(calls.tell(user_id, question_id, choice, strength, note, idempotency_key))

    def undo(self, user_id: str, *, idempotency_key: str | None = None) -> Undone:
        """Take the last answer back; its question is open again."""
        return self._send(calls.undo(user_id, idempotency_key))

    def profile(self, user_id: str, *, version: str | None = None) -> Profile:
        """What is known about a person, now or as of an earlier version."""
        return self._send(calls.profile(user_id, version))

    def export(self, user_id: str) -> dict[str, Any]:
        """Everything held about a person."""
        return self._send(calls.export(user_id))

    def forget(self, user_id: str) -> None:
        """Erase a person and every trace of them."""
        self._send(calls.forget(user_id))

    def score(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        *,
        user_id: str | None = None,
        user_ids: Sequence[str] | None = None,
        profile_version: str | None = None,
        basis_version: str | None = None,
        detail: bool = False,
    ) -> Scores:
        """Rewards of completions, for one person, for one person per row, or without either for the aggregate."""
        call = calls.score(prompts, completions, user_id, user_ids, profile_version, basis_version, detail)
        return self._send(call)

    def rank(
        self,
        prompt: Text,
        candidates: Sequence[Text],
        *,
        user_id: str | None = None,
        rule: str | None = None,
        top_n: int | None = None,
        certify: bool = False,
    ) -> Ranking:
        """Candidates, best first, by ``rule``: mean, lcb or pessimistic."""
        return self._send(calls.rank(prompt, candidates, user_id, rule, top_n, certify))

    def compare(self, prompt: Text, a: Text, b: Text, *, user_id: str | None = None) -> Comparison:
        """The predicted choice between two responses."""
        return self._send(calls.compare(prompt, a, b, user_id))

    def audit(self) -> dict[str, Any]:
        """Measure now whether anybody is being flattered or walled in; the report is stored."""
        return self._send(calls.audit())

    def latest_audit(self) -> dict[str, Any]:
        """The last stored report; raises NotFound before the first."""
        return self._send(calls.stored_audit("latest"))

    def info(self) -> dict[str, Any]:
        """What the service runs on: versions, heads, limits."""
        return self._send(calls.info())

    def _send(self, call: Call[T]) -> T:
        request = wire.request(self._http, call)
        for attempt in itertools.count():
            outcome = self._attempt(request)
            if not wire.again(attempt, outcome):
                break
            time.sleep(wire.pause(attempt, outcome))
        return wire.result(call, outcome)

    def _attempt(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.send(request)
        except httpx.TransportError as error:
            return error
