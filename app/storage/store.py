"""Stored data about people: records and the asynchronous ``Store`` protocol.

The answer log is append-only: an undo is one more entry that names the answer it takes back. Entries of a person are
numbered 1, 2, … without gaps; the prefix of length n is what profile version n was learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from app.storage.appeals import AppealStore
from app.storage.registry import Registry
from app.storage.traffic import TrafficLog
from elicitation.anchors import Level
from elicitation.choice import Choice, Strength

USER_ID = r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}"
USER_ID_HELP = "1 to 128 letters, digits or . _ : @ + -, the first a letter or digit"


@dataclass(frozen=True)
class PersonKey:
    """Every personal record is found by this pair and by nothing less."""

    tenant_id: str
    user_id: str


@dataclass(frozen=True)
class Person:
    """``person_uid`` is random and tells a person from an erased one of the same name (column ``incarnation``).

    Somebody who was asked and has answered nothing is on a visit: a Person too, of whom ``Store.people`` says nothing.
    """

    key: PersonKey
    person_uid: str
    created_at: str
    position: int


@dataclass(frozen=True)
class VisitLimits:
    """A visit ends after so many hours, or when a tenant has so many younger ones."""

    hours: float = 24.0
    most: int = 10_000


@dataclass(frozen=True)
class Question:
    """A question as it was shown; ``asked_after`` is the length of the answer log when it was chosen."""

    question_id: str
    number: int
    asked_after: int
    prompt_id: str
    conversation: tuple[dict[str, str], ...]
    left_id: str
    right_id: str
    left: str
    right: str
    left_digest: str
    right_digest: str
    rule: str
    seed: int
    expected_gain: float
    unit: str
    bank_version: str
    basis_version: str
    population_version: str
    profile_version: str
    asked_at: str


@dataclass(frozen=True)
class Answer:
    """``predicted`` are the probabilities of left, same, right from the profile before this answer."""

    position: int
    answer_id: str
    question_id: str
    choice: Choice
    strength: Strength | None
    note: str | None
    predicted: tuple[float, float, float]
    idempotency_key: str | None
    request_digest: str
    logged_at: str


@dataclass(frozen=True)
class Correction:
    """Takes back the answer ``answer_id``; its question is open again."""

    position: int
    answer_id: str
    idempotency_key: str | None
    request_digest: str
    logged_at: str


Entry = Answer | Correction


@dataclass(frozen=True)
class AnchorRating:
    """A person's rating of one response; ``told_after`` is the length of the answer log then."""

    anchor_id: str
    told_after: int
    conversation: tuple[dict[str, str], ...]
    response: str
    level: Level
    idempotency_key: str | None
    request_digest: str
    logged_at: str


FEW = 5
"""Fewer people than this are recognisable in a mean."""
CHOICES = 10
"""The metric whose n counts choices in place of people."""


@dataclass(frozen=True)
class AuditReport:
    """``audit_id`` is the SHA-256 of the report's canonical JSON."""

    audit_id: str
    created_at: str
    report: dict[str, Any]

    @property
    def shows_few(self) -> bool:
        """Whether it has a figure of fewer than FEW people, as reports of version 0.1.0 may have."""
        findings = self.report.get("findings", ())
        return any(f["value"] is not None and f["number"] != CHOICES and 0 < f["n"] < FEW for f in findings)


def now() -> str:
    """The time that records carry: UTC, to the microsecond."""
    return datetime.now(UTC).isoformat()


def active_answers(log: Sequence[Entry]) -> tuple[Answer, ...]:
    """The answers of a log prefix that no later correction in it took back, oldest first."""
    undone = {entry.answer_id for entry in log if isinstance(entry, Correction)}
    return tuple(entry for entry in log if isinstance(entry, Answer) and entry.answer_id not in undone)


class Store(Protocol):
    """Raises NotFound for unknown people and Conflict when a write contradicts the stored log."""

    @property
    def registry(self) -> Registry:
        """Stored facts beside people."""

    @property
    def appeals(self) -> AppealStore:
        """Appeals against the gate."""

    @property
    def traffic(self) -> TrafficLog:
        """Served rankings."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def check(self) -> None:
        """Raises StoreFailed unless an answer could be stored and read at this moment."""

    async def find(self, keys: Sequence[PersonKey]) -> list[Person]:
        """The people of these keys, in their order; those on a visit too."""

    async def people(self, tenant_id: str) -> list[Person]:
        """Everybody in a tenant who has answered, rated or appealed, in the order in which they began to.

        Databases of 0.1.0 may hold people who did none of it.
        """

    async def visit(self, key: PersonKey) -> Person:
        """The person; a visit begins for somebody unknown, and their first entry makes them a person."""

    async def questions(self, key: PersonKey) -> list[Question]:
        """Every question asked, oldest first."""

    async def add_question(self, key: PersonKey, question: Question) -> None:
        """Conflict when the prompt was asked before, a question waits or the log has moved past ``asked_after``."""

    async def log(self, key: PersonKey) -> list[Entry]:
        """Every entry, oldest first."""

    async def append(self, key: PersonKey, entry: Entry) -> None:
        """Durable when it returns; Conflict when the position is taken or the key was used."""

    async def anchor_ratings(self, key: PersonKey) -> list[AnchorRating]:
        """Every rating, oldest first."""

    async def add_anchor_rating(self, key: PersonKey, rating: AnchorRating) -> None:
        """Durable when it returns; Conflict when the key was used."""

    async def erase(self, key: PersonKey) -> None:
        """Removes every trace of the person, journals and audits of few people too.

        The registry notes an Erasure, unless they were on a visit: nothing was learned from them.

        Returns once nobody can read the person again. Bytes that the disk does not let go of yet follow by themselves.
        """

    async def add_audit(self, tenant_id: str, audit: AuditReport) -> None: ...

    async def audit(self, tenant_id: str, audit_id: str | None) -> AuditReport:
        """One report, or the latest; NotFound when there is none."""

    async def audits(self, tenant_id: str, latest: int) -> list[AuditReport]:
        """The latest so many reports, oldest first."""
