"""The asynchronous client: one kept-alive connection, one method per verb of the service.

Connection errors, time-outs, 429 and 503 are retried a few times with growing pauses; every other error reply raises
at once.
"""

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from keel import calls, wire
from keel.calls import Call, Text
from keel.replies import (
    Comparison,
    MaskedScores,
    PersonKey,
    Picked,
    Profile,
    Question,
    Ranking,
    Rated,
    Scores,
    Told,
    Undone,
)

T = TypeVar("T")


class AsyncClient:
    """Talks to the service at ``url``; use it as a context manager or ``close`` it.

    ``key`` is what a service with keys asks for, ``timeout`` the seconds one attempt may take, ``retry`` bounds the
    attempts; ``transport`` is httpx's. Proxies of the environment apply to other machines' addresses alone.
    """

    def __init__(
        self,
        url: str = wire.DEFAULT_URL,
        *,
        key: str | None = None,
        timeout: float = wire.DEFAULT_TIMEOUT,
        retry: wire.Retry = wire.DEFAULT_RETRY,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retry = retry
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=wire.headers(key),
            timeout=timeout,
            transport=transport,
            trust_env=wire.trusts_environment(url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connection back."""
        await self._http.aclose()

    async def ask(
        self, user_id: str, *, rule: str | None = None, seed: int | None = None, force: bool = False
    ) -> Question | None:
        """The open question, or a new one; None when no further question is worth asking (unless ``force``)."""
        return await self.send(calls.ask(user_id, rule, seed, force))

    async def tell(
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
        return await self.send(calls.tell(user_id, question_id, choice, strength, note, idempotency_key))

    async def undo(self, user_id: str, *, idempotency_key: str | None = None) -> Undone:
        """Take the last answer back; its question is open again."""
        return await self.send(calls.undo(user_id, idempotency_key))

    async def rate(
        self,
        user_id: str,
        level: str,
        *,
        prompt: Text | None = None,
        response: Text | None = None,
        view: str | None = None,
        question_id: str | None = None,
        side: str | None = None,
        idempotency_key: str | None = None,
    ) -> Rated:
        """Call one response unacceptable, acceptable or excellent: by its texts, or as a side of a question.

        ``view`` as in ``score``.
        """
        named = {"prompt": prompt, "response": response, "view": view, "question_id": question_id, "side": side}
        return await self.send(calls.rate(user_id, level, idempotency_key, **named))

    async def profile(self, user_id: str, *, version: str | None = None) -> Profile:
        """The profile of a person, now or as of an earlier version."""
        return await self.send(calls.profile(user_id, version))

    async def own_audit(self, user_id: str) -> dict[str, Any]:
        """How far what a person is served is from what everybody gets, and what that costs."""
        return await self.send(calls.own_audit(user_id))

    async def export(self, user_id: str) -> dict[str, Any]:
        """Everything held about a person."""
        return await self.send(calls.export(user_id))

    async def export_rows(self, user_id: str, shape: str) -> list[dict[str, Any]]:
        """A person's answers as rows for a trainer: ``shape`` is notes, preferences, best-of-n or feedme."""
        return await self.send(calls.export_rows(user_id, shape))

    async def forget(self, user_id: str) -> None:
        """Erase a person and every trace of them."""
        await self.send(calls.forget(user_id))

    async def person_key(self, user_id: str, *, seconds: int | None = None) -> PersonKey:
        """A key of scope ``elicit`` for one person, for an hour or so many seconds, 86,400 at most.

        The client's own key needs the scope ``delegate``. Raises Conflict where the service has no keys.
        """
        return await self.send(calls.person_key(user_id, seconds))

    async def score(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        *,
        view: str | None = None,
        user_id: str | None = None,
        user_ids: Sequence[str] | None = None,
        profile_version: str | None = None,
        profile_versions: Mapping[str, str] | None = None,
        basis_version: str | None = None,
        mix: float | None = None,
        normalize: str | None = None,
        bounded: bool = False,
        baseline: Sequence[Text] | None = None,
        baselines: Sequence[Sequence[Text]] | None = None,
        beta: float | None = None,
        kappa: float | None = None,
        detail: bool = False,
        components: bool = False,
    ) -> Scores:
        """Rewards of completions, for one person, for one person per row, or without either for the aggregate.

        A completion may be a trajectory, a list of messages: ``view`` says what is read of it, answer (the default) or
        trace. ``profile_versions`` pins several people (person → version). ``mix`` is the weight of the aggregate in
        the reward; ``normalize`` (none, group or reference) and ``bounded`` shape ``rewards`` alone. Of ``baseline``
        responses, or of one list per row in ``baselines``, the mean reward is taken off; ``beta`` (temperature) and
        ``kappa`` go into the details. ``components`` takes rewards apart: a share for each head and one for the gate.
        """
        call = calls.score(
            prompts,
            completions,
            view=view,
            user_id=user_id,
            user_ids=user_ids,
            profile_version=profile_version,
            profile_versions=profile_versions,
            basis_version=basis_version,
            mix=mix,
            normalize=normalize,
            bounded=bounded or None,
            baseline=baseline,
            baselines=baselines,
            beta=beta,
            kappa=kappa,
            detail=detail or None,
            components=components or None,
        )
        return await self.send(call)

    async def score_masked(self, prompts: Sequence[Text], completions: Sequence[Text], **options: Any) -> MaskedScores:
        """As ``score``, whose ``options`` it takes, with None for rows that a source of rewards cannot judge."""
        return await self.send(calls.score_masked(prompts, completions, **options))

    async def rank(
        self,
        prompt: Text,
        candidates: Sequence[Text],
        *,
        view: str | None = None,
        user_id: str | None = None,
        rule: str | None = None,
        beta: float | None = None,
        kappa: float | None = None,
        rho: float | None = None,
        nominal: float | None = None,
        seed: int | None = None,
        agreement: Sequence[int] | None = None,
        top_n: int | None = None,
        certify: bool = False,
        curve: bool = False,
    ) -> Ranking:
        """Candidates, best first, by ``rule``: mean, lcb, pessimistic, drro, soft or brme.

        ``beta`` is the temperature of the policy that chooses; ``kappa`` goes with lcb, ``rho`` with drro, ``seed``
        with soft, ``nominal`` with brme. ``agreement`` (0 or 1 per candidate) holds agreeing ones to the aggregate's
        share; ``curve`` adds what the best of 1, 2, … candidates is worth; ``view`` as in ``score``.
        """
        call = calls.rank(
            prompt,
            candidates,
            view=view,
            user_id=user_id,
            rule=rule,
            beta=beta,
            kappa=kappa,
            rho=rho,
            nominal=nominal,
            seed=seed,
            agreement=agreement,
            top_n=top_n,
            certify=certify or None,
            curve=curve or None,
        )
        return await self.send(call)

    async def pick(
        self,
        prompt: Text,
        candidates: Sequence[Text],
        *,
        view: str | None = None,
        user_id: str | None = None,
        doubt: float | None = None,
    ) -> Picked:
        """The best candidate, with judges asked about one after another.

        They are asked until the chance that another one is the best is at most ``doubt``, by default 0.05; ``view`` as
        in ``score``.
        """
        return await self.send(calls.pick(prompt, candidates, view=view, user_id=user_id, doubt=doubt))

    async def compare(
        self, prompt: Text, a: Text, b: Text, *, view: str | None = None, user_id: str | None = None
    ) -> Comparison:
        """The predicted choice between two responses; ``view`` as in ``score``."""
        return await self.send(calls.compare(prompt, a, b, view=view, user_id=user_id))

    async def audit(self) -> dict[str, Any]:
        """Measure now whether anybody is being flattered or walled in; the report is stored."""
        return await self.send(calls.audit())

    async def latest_audit(self) -> dict[str, Any]:
        """The last stored report; raises NotFound before the first."""
        return await self.send(calls.stored_audit("latest"))

    async def info(self) -> dict[str, Any]:
        """Versions, heads and limits of the service."""
        return await self.send(calls.info())

    async def send(self, call: Call[T]) -> T:
        """Any call, with the retries that the client was made with."""
        request = wire.request(self._http, call)
        started = time.monotonic()
        for attempt in itertools.count():
            outcome = await self._attempt(request)
            pause = wire.pause(attempt, outcome)
            if not self._retry.again(attempt, outcome, time.monotonic() - started + pause):
                break
            await asyncio.sleep(pause)
        return wire.result(call, outcome)

    async def _attempt(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        try:
            return await self._http.send(request)
        except httpx.TransportError as error:
            return error
