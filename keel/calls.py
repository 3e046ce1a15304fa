"""The service's verbs as requests to send, shared by both clients: no input or output happens here."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

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
    build,
)

T = TypeVar("T")
Text = str | Sequence[Mapping[str, Any]]
"""Plain text, or messages with roles, content blocks and calls of tools."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request and how to read the reply's JSON (None when the reply has no body)."""

    method: str
    path: str
    read: Callable[[Any], T]
    json: dict[str, Any] | None = None
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def ask(user_id: str, rule: str | None, seed: int | None, force: bool) -> Call[Question | None]:
    body = _given(rule=rule, seed=seed) | ({"force": True} if force else {})
    return Call("POST", _person(user_id, "/questions"), lambda j: None if j is None else build(Question, j), body)


def tell(
    user_id: str, question_id: str, choice: str, strength: str | None, note: str | None, idempotency_key: str | None
) -> Call[Told]:
    body = {"question_id": question_id, "choice": choice} | _given(strength=strength, note=note)
    path = _person(user_id, "/answers")
    return Call("POST", path, lambda j: build(Told, j), body, headers=_keyed(idempotency_key))


def undo(user_id: str, idempotency_key: str | None) -> Call[Undone]:
    path = _person(user_id, "/answers/last")
    return Call("DELETE", path, lambda j: build(Undone, j), headers=_keyed(idempotency_key))


def rate(user_id: str, level: str, idempotency_key: str | None, **response: Any) -> Call[Rated]:
    """``response`` is named by prompt and response, or by question_id and side."""
    path, body = _person(user_id, "/anchors"), {"level": level} | _given(**response)
    return Call("POST", path, lambda j: build(Rated, j), body, headers=_keyed(idempotency_key))


def profile(user_id: str, version: str | None) -> Call[Profile]:
    return Call("GET", _person(user_id, "/profile"), lambda j: build(Profile, j), params=_given(version=version))


def own_audit(user_id: str) -> Call[dict[str, Any]]:
    return Call("GET", _person(user_id, "/audit"), dict)


def export(user_id: str) -> Call[dict[str, Any]]:
    return Call("GET", _person(user_id, "/export"), dict)


def export_rows(user_id: str, shape: str) -> Call[list[dict[str, Any]]]:
    return Call("GET", _person(user_id, f"/export/{quote(shape, safe='')}"), list)


def forget(user_id: str) -> Call[None]:
    return Call("DELETE", _person(user_id, ""), lambda _: None)


def person_key(user_id: str, seconds: int | None) -> Call[PersonKey]:
    return Call("POST", _person(user_id, "/keys"), lambda j: build(PersonKey, j), _given(seconds=seconds))


def score_masked(prompts: Sequence[Text], completions: Sequence[Text], **options: Any) -> Call[MaskedScores]:
    """As ``score``, with None for rows that a source cannot judge."""
    call = score(prompts, completions, **options, on_missing="mask")
    return Call(call.method, call.path, lambda j: build(MaskedScores, j), call.json)


def score(prompts: Sequence[Text], completions: Sequence[Text], **options: Any) -> Call[Scores]:
    """``options`` are the request's other fields by name; those that are None are left out."""
    body = {"prompts": list(prompts), "completions": list(completions)} | _given(**options)
    return Call("POST", "/v1/score", lambda j: build(Scores, j), body)


def rank(prompt: Text, candidates: Sequence[Text], **options: Any) -> Call[Ranking]:
    """``options`` as in ``score``."""
    body = {"prompt": prompt, "candidates": list(candidates)} | _given(**options)
    return Call("POST", "/v1/rank", lambda j: build(Ranking, j), body)


def pick(prompt: Text, candidates: Sequence[Text], **options: Any) -> Call[Picked]:
    """``options`` as in ``score``."""
    body = {"prompt": prompt, "candidates": list(candidates), "sources": "needed"} | _given(**options)
    return Call("POST", "/v1/rank", lambda j: build(Picked, j), body)


def compare(prompt: Text, a: Text, b: Text, **options: Any) -> Call[Comparison]:
    """``options`` as in ``score``."""
    body = {"prompt": prompt, "a": a, "b": b} | _given(**options)
    return Call("POST", "/v1/compare", lambda j: build(Comparison, j), body)


def audit() -> Call[dict[str, Any]]:
    return Call("POST", "/v1/audits", dict, {})


def stored_audit(audit_id: str) -> Call[dict[str, Any]]:
    return Call("GET", f"/v1/audits/{quote(audit_id, safe='')}", dict)


def info() -> Call[dict[str, Any]]:
    return Call("GET", "/info", dict)


def _person(user_id: str, rest: str) -> str:
    return f"/v1/users/{quote(user_id, safe='')}{rest}"


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _keyed(idempotency_key: str | None) -> dict[str, str]:
    # One key per call, not per attempt: a retry after a lost reply must not count twice.
    return {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
