"""The service's replies as frozen dataclasses; rewards and coefficients are in nats, scores and chances in 0–1."""

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Prompt = str | list[dict[str, str]]


@dataclass(frozen=True)
class Question:
    """Two responses to one prompt; ``number`` of about ``expected_total``."""

    question_id: str
    prompt: Prompt
    left: str
    right: str
    number: int
    expected_total: int
    expected_gain: float
    unit: str


@dataclass(frozen=True)
class Told:
    """An answer was stored; ``done`` when no further question is worth asking."""

    answer_id: str
    profile_version: str
    answered: int
    expected_total: int
    done: bool


@dataclass(frozen=True)
class Undone:
    """The last answer was taken back; its question ``question_id`` is open again."""

    answer_id: str
    question_id: str
    profile_version: str
    answered: int
    expected_total: int
    done: bool


@dataclass(frozen=True)
class Rated:
    """A rating was stored: how many responses are rated, and what they say in nats, None until they say enough."""

    anchor_id: str
    ratings: int
    aleatoric: float | None
    acceptable: float | None
    excellent: float | None
    flags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class PersonKey:
    """A key of one person, shown once; ``expires_at`` is ISO 8601, UTC."""

    key: str = field(repr=False)
    key_id: str
    expires_at: str


@dataclass(frozen=True)
class HeadCoefficient:
    """A person's coefficient of one base reward, beside the aggregate's and the guarded one."""

    name: str
    mean: float
    std: float
    aggregate: float
    guarded: float


@dataclass(frozen=True)
class Statement:
    """A statement in words, its confidence, and the questions that taught it."""

    text: str
    confidence: float
    because: tuple[str, ...]


@dataclass(frozen=True)
class Band:
    """The agreement band in one stratum: nats by which agreement pays more than for everybody, and their limit."""

    status: str
    limit: float | None
    before: float | None
    after: float | None
    binds: bool


@dataclass(frozen=True)
class Guard:
    """How much of the personal part the guard lets through (``alpha``) and what bound it."""

    alpha: float
    divergence_max: float
    divergence_p95: float
    budget: dict[str, float]
    starc: float | None
    band: dict[str, Band]
    binding: str


@dataclass(frozen=True)
class Profile:
    """One version of what is known about a person."""

    user_id: str
    version: str
    answered: int
    heads: tuple[HeadCoefficient, ...]
    statements: tuple[Statement, ...]
    guard: Guard


@dataclass(frozen=True)
class Gate:
    """Whether a response may be scored at all."""

    passed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Detail:
    """One response's reward taken apart; None where the gate rejected the response."""

    mean: float
    std: float
    lcb: float
    pessimistic: float
    epistemic: float
    aleatoric: float | None
    preferred: float | None
    aggregate: float | None
    raw: float | None
    guarded: float
    gate: Gate
    flags: tuple[str, ...]
    heads: dict[str, float]


@dataclass(frozen=True)
class Scores:
    """``rewards`` in nats and ``scores`` in 0–1, in the order of the completions.

    ``components`` are shares of the rewards in nats, by name, in the same order; None unless asked for. ``flags`` say
    of each completion what was not read; None where all was.
    """

    rewards: tuple[float, ...]
    scores: tuple[float, ...]
    basis_version: str
    profile_versions: dict[str, str]
    details: tuple[Detail, ...] | None = None
    components: dict[str, tuple[float, ...]] | None = None
    flags: tuple[tuple[str, ...], ...] | None = None


@dataclass(frozen=True)
class Missing:
    """The completion at ``index`` has no reward: the ``source`` could not judge it, for a ``reason``."""

    index: int
    source: str
    reason: str


@dataclass(frozen=True)
class MaskedScores:
    """As ``Scores``, with None in the rows that ``missing`` names."""

    rewards: tuple[float | None, ...]
    scores: tuple[float | None, ...]
    basis_version: str
    profile_versions: dict[str, str]
    details: tuple[Detail | None, ...] | None = None
    components: dict[str, tuple[float | None, ...]] | None = None
    flags: tuple[tuple[str, ...], ...] | None = None
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True)
class Ranked:
    """One candidate by its place in the request."""

    index: int
    score: float
    probability: float
    flags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class CurvePoint:
    """Expected reward of the best of ``n`` candidates and the bound on its divergence, both in nats."""

    n: int
    reward: float
    divergence: float


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first; ``best`` is None when the gate rejected them all, the curve unless asked for."""

    results: tuple[Ranked, ...]
    set_divergence: float
    set_alpha: float
    outside_guard: bool
    best: int | None
    served_by: str | None = None
    curve: tuple[CurvePoint, ...] | None = None
    recommended_n: int | None = None


@dataclass(frozen=True)
class Judged:
    """One candidate of a pick: its place in the request, and its guarded score."""

    index: int
    score: float
    flags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Picked:
    """The ``best`` candidate, None when the gate rejected all; those judged, best first, and the places of the others.

    ``doubt`` is the chance that one of ``unjudged`` is better.
    """

    results: tuple[Judged, ...]
    unjudged: tuple[int, ...]
    best: int | None
    doubt: float


@dataclass(frozen=True)
class Comparison:
    """Predicted choice between two responses."""

    p_a: float
    p_b: float
    p_same: float
    flags: tuple[str, ...] | None = None


def build(kind: type[T], value: Any) -> T:
    """``value`` as decoded from JSON in the shape of ``kind``; fields this version does not know are left out."""
    built: T = _built(kind, value)
    return built


def _built(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(
            **{f.name: _built(hints[f.name], _field(value, f.name)) for f in fields(kind) if _has(value, f.name)}
        )
    origin = typing.get_origin(kind)
    if origin is tuple and value is not None:
        return tuple(_built(typing.get_args(kind)[0], item) for item in value)
    if origin is dict and value is not None:
        return {name: _built(typing.get_args(kind)[1], item) for name, item in value.items()}
    if origin is types.UnionType and value is not None:
        return _built(typing.get_args(kind)[0], value)
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _has(value: Mapping[str, Any], name: str) -> bool:
    return name in value or (name == "passed" and "pass" in value)


def _field(value: Mapping[str, Any], name: str) -> Any:
    # "pass" is what the wire says and a word that Python keeps for itself.
    return value[name] if name in value else value["pass"]
