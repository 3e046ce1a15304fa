"""What a store must hold, in plain lists, and how to read all of it from a store.

A ``View`` is all that can be read: rows by (what, tenant, user); facts of no tenant have the tenant "". A method of
``Model`` does what the store's method of that name must do: it keeps the record and returns None, or keeps nothing and
returns the class of the refusal.
"""

import asyncio
import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.errors import Conflict, KeelError, NotFound
from app.storage.appeals import Appeal, Verdict
from app.storage.registry import Deployment, Key
from app.storage.store import AnchorRating, Answer, AuditReport, Correction, Entry, Person, PersonKey, Question, Store
from app.storage.traffic import ServedRanking

View = dict[tuple[str, str, str], Sequence[Any]]
Refusal = type[KeelError] | None
MANY = ("many 1", "many 2")
"""Ids of the audits that show many people."""
EVERYTHING = 1_000
"""More audits than any test stores."""


@dataclass
class Life:
    """One person from their visit to their erasure; their texts alone begin with ``trace``."""

    person: Person
    trace: str
    questions: list[Question] = field(default_factory=list)
    log: list[Entry] = field(default_factory=list)
    ratings: list[AnchorRating] = field(default_factory=list)

    def copy(self) -> "Life":
        return replace(self, questions=[*self.questions], log=[*self.log], ratings=[*self.ratings])

    @property
    def answered(self) -> list[Answer]:
        """The answers that nobody took back."""
        undone = [entry.answer_id for entry in self.log if isinstance(entry, Correction)]
        return [entry for entry in self.log if isinstance(entry, Answer) and entry.answer_id not in undone]

    @property
    def waiting(self) -> list[Question]:
        """The questions without an answer, oldest first."""
        answered = [answer.question_id for answer in self.answered]
        return [question for question in self.questions if question.question_id not in answered]


class Model:
    """People in the order of their first entries, and the facts beside them in order of arrival.

    Of each tenant, ``most`` people at a time are on a visit: asked and without an entry.
    """

    def __init__(self, tenants: Sequence[str], users: Sequence[str], most: int) -> None:
        self.tenants, self.users, self.most = tenants, users, most
        self.lives: dict[PersonKey, Life] = {}
        self.visits: dict[PersonKey, Life] = {}
        self.erased: list[tuple[str, str]] = []
        self.appeals: list[tuple[str, Appeal]] = []
        self.rankings: list[tuple[PersonKey, ServedRanking]] = []
        self.audits: list[tuple[str, AuditReport]] = []
        self.keys: list[Key] = []
        self.served: list[tuple[Deployment, bytes | None]] = []

    @property
    def known(self) -> dict[PersonKey, Life]:
        """Everybody who lives or visits."""
        return self.lives | self.visits

    def copy(self) -> "Model":
        """One that changes by itself; records are shared, since none of them changes."""
        other = copy.copy(self)
        for name, records in vars(self).items():
            setattr(other, name, copy.copy(records))
        other.lives = {key: life.copy() for key, life in self.lives.items()}
        other.visits = {key: life.copy() for key, life in self.visits.items()}
        return other

    def visit(self, person: Person, trace: str) -> None:
        """A visit of the person as the store made them, unless they are known; the oldest of too many ends."""
        if person.key in self.known:
            return
        visitors = [key for key in self.visits if key.tenant_id == person.key.tenant_id]
        for key in visitors[: len(visitors) + 1 - self.most]:
            del self.visits[key]
        self.visits[person.key] = Life(person, trace)

    def admit(self, key: PersonKey) -> None:
        """Whoever visits is a person from now on."""
        if key in self.visits:
            self.lives[key] = self.visits.pop(key)

    def add_question(self, key: PersonKey, question: Question) -> Refusal:
        if key not in self.known:
            return NotFound
        life = self.known[key]
        asked = any(question.prompt_id == old.prompt_id for old in life.questions)
        if asked or life.waiting or question.asked_after != len(life.log):
            return Conflict
        life.questions.append(question)
        return None

    def append(self, key: PersonKey, entry: Entry) -> Refusal:
        if key not in self.known:
            return NotFound
        log = self.known[key].log
        if entry.position != len(log) + 1 or _is_used(entry.idempotency_key, log):
            return Conflict
        log.append(entry)
        self.admit(key)
        return None

    def add_anchor_rating(self, key: PersonKey, rating: AnchorRating) -> Refusal:
        if key not in self.known:
            return NotFound
        ratings = self.known[key].ratings
        if _is_used(rating.idempotency_key, ratings):
            return Conflict
        ratings.append(rating)
        self.admit(key)
        return None

    def add_appeal(self, tenant: str, appeal: Appeal) -> Refusal:
        if appeal.user_id is not None:
            key = PersonKey(tenant, appeal.user_id)
            if key not in self.known:
                return NotFound
            self.admit(key)
        self.appeals.append((tenant, appeal))
        return None

    def resolve(self, tenant: str, appeal_id: str, verdict: Verdict, resolved_at: str) -> Refusal:
        found = [i for i, (owner, old) in enumerate(self.appeals) if (owner, old.appeal_id) == (tenant, appeal_id)]
        for i in found:
            self.appeals[i] = (tenant, replace(self.appeals[i][1], verdict=verdict, resolved_at=resolved_at))
        return None if found else NotFound

    def add_ranking(self, key: PersonKey, ranking: ServedRanking, keep_from: str) -> None:
        self.rankings = [
            (k, old) for k, old in self.rankings if k.tenant_id != key.tenant_id or old.served_at >= keep_from
        ]
        if key in self.lives and self.lives[key].person.person_uid == ranking.person:
            self.rankings.append((key, ranking))

    def add_audit(self, tenant: str, audit: AuditReport) -> None:
        self.audits = [(t, old) for t, old in self.audits if (t, old.audit_id) != (tenant, audit.audit_id)]
        self.audits.append((tenant, audit))

    def erase(self, key: PersonKey) -> Refusal:
        if key not in self.known:
            return NotFound
        if key in self.lives:
            self.erased.append((key.tenant_id, self.lives.pop(key).person.person_uid))
        self.visits.pop(key, None)
        self.appeals = [(t, old) for t, old in self.appeals if (t, old.user_id) != (key.tenant_id, key.user_id)]
        self.rankings = [(k, old) for k, old in self.rankings if k != key]
        self.audits = [(t, old) for t, old in self.audits if t != key.tenant_id or old.audit_id in MANY]
        self.keys = [
            replace(old, bound_to="", revoked_at=old.revoked_at or "by the erasure")
            if (old.tenant_id, old.bound_to) == (key.tenant_id, key.user_id)
            else old
            for old in self.keys
        ]
        return None

    def add_key(self, key: Key) -> Refusal:
        self.keys = [old for old in self.keys if old.made_by is None or (old.expires_at or "~") > key.created_at]
        if key.made_by is not None and not any(
            old.key_id == key.made_by and old.revoked_at is None for old in self.keys
        ):
            return NotFound
        self.keys.append(key)
        return None

    def revoke_key(self, key_id: str, revoked_at: str) -> Refusal:
        if not any(key.key_id == key_id for key in self.keys):
            return NotFound
        gone = {key_id}
        for key in self.keys:  # A key is made after its maker.
            gone |= {key.key_id} if key.made_by in gone else set()
        self.keys = [
            replace(key, revoked_at=key.revoked_at or revoked_at) if key.key_id in gone else key for key in self.keys
        ]
        return None

    def serve(self, deployment: Deployment, files: bytes) -> None:
        self.served = [(old, kept) for old, kept in self.served if old.digest != deployment.digest]
        self.served.append((deployment, files))

    def retire(self, digest: str, retired_at: str) -> None:
        self.served = [
            (replace(old, retired_at=retired_at), None) if old.digest == digest else (old, kept)
            for old, kept in self.served
        ]

    def view(self) -> View:
        """All that a store must let be read."""
        view = self._beside_people()
        for tenant in self.tenants:
            view |= self._of_tenant(tenant)
            for user in self.users:
                view |= self._of_person(PersonKey(tenant, user))
        return view

    def _beside_people(self) -> View:
        return {
            ("keys", "", ""): [timeless(key) for key in self.keys],
            ("each key", "", ""): [timeless(key) for key in self.keys],
            ("tenants", "", ""): sorted({key.tenant_id for key in self.lives}),
            ("served", "", ""): [deployment for deployment, _ in self.served],
            ("files", "", ""): [files for _, files in self.served],
            ("erasures", "", ""): sorted(self.erased),
        }

    def _of_tenant(self, tenant: str) -> View:
        people = [_counted(life) for key, life in self.lives.items() if key.tenant_id == tenant]
        appeals = [appeal for owner, appeal in self.appeals if owner == tenant]
        audits = [audit for owner, audit in self.audits if owner == tenant]
        return {
            ("people", tenant, ""): people,
            ("found", tenant, ""): people[::-1],
            ("appeals", tenant, ""): appeals,
            ("overturned", tenant, ""): sorted({a.response_digest for a in appeals if a.verdict is Verdict.OVERTURN}),
            ("rankings", tenant, ""): [ranking for key, ranking in self.rankings if key.tenant_id == tenant],
            ("audits", tenant, ""): audits,
            ("latest audits", tenant, ""): audits[-2:],
            ("each audit", tenant, ""): audits,
        }

    def _of_person(self, key: PersonKey) -> View:
        tenant, user = key.tenant_id, key.user_id
        life = self.known.get(key)
        return {
            ("found", tenant, user): [_counted(life)] if life else [],
            ("questions", tenant, user): life.questions if life else [],
            ("log", tenant, user): life.log if life else [],
            ("ratings", tenant, user): life.ratings if life else [],
            ("appeals", tenant, user): [a for owner, a in self.appeals if (owner, a.user_id) == (tenant, user)],
            ("rankings", tenant, user): [ranking for owner, ranking in self.rankings if owner == key],
        }


async def view_of(store: Store, tenants: Iterable[str], users: Iterable[str]) -> View:
    """All that can be read from a store about these tenants and users."""
    keys = [PersonKey(tenant, user) for tenant in tenants for user in users]
    reads = [_beside_people(store), *(_of_tenant(store, tenant) for tenant in tenants)]
    views = await asyncio.gather(*reads, *(_of_person(store, key) for key in keys))
    return {name: list(rows) for view in views for name, rows in view.items()}


async def _beside_people(store: Store) -> View:
    registry = store.registry
    keys, served = await registry.keys(), await registry.served()
    return {
        ("keys", "", ""): [timeless(key) for key in keys],
        ("each key", "", ""): [timeless(await registry.key(key.key_id)) for key in keys],
        ("tenants", "", ""): await registry.tenants(),
        ("served", "", ""): served,
        ("files", "", ""): await asyncio.gather(*(registry.files(deployment.digest) for deployment in served)),
        ("erasures", "", ""): sorted((gone.tenant_id, gone.person_uid) for gone in await registry.erasures()),
    }


async def _of_tenant(store: Store, tenant: str) -> View:
    people, audits = await store.people(tenant), await store.audits(tenant, EVERYTHING)
    return {
        ("people", tenant, ""): people,
        ("found", tenant, ""): await store.find([person.key for person in people[::-1]]),
        ("appeals", tenant, ""): await store.appeals.all(tenant),
        ("overturned", tenant, ""): sorted(await store.appeals.overturned(tenant)),
        ("rankings", tenant, ""): await store.traffic.of_tenant(tenant, ""),
        ("audits", tenant, ""): audits,
        ("latest audits", tenant, ""): await store.audits(tenant, 2),
        ("each audit", tenant, ""): await asyncio.gather(*(store.audit(tenant, audit.audit_id) for audit in audits)),
    }


async def _of_person(store: Store, key: PersonKey) -> View:
    owner = (key.tenant_id, key.user_id)
    return {
        ("found", *owner): await _found(store, key),
        ("questions", *owner): await store.questions(key),
        ("log", *owner): await store.log(key),
        ("ratings", *owner): await store.anchor_ratings(key),
        ("appeals", *owner): await store.appeals.of_person(*owner),
        ("rankings", *owner): await store.traffic.of_person(*owner),
    }


async def _found(store: Store, key: PersonKey) -> list[Person]:
    try:
        return await store.find([key])
    except NotFound:
        return []


def timeless(key: Key) -> Key:
    """A key without the time of the erasure that ended it: the store alone knows it."""
    return replace(key, revoked_at="by the erasure") if key.bound_to == "" and key.revoked_at else key


def _counted(life: Life) -> Person:
    return replace(life.person, position=len(life.log))


def _is_used(idempotency_key: str | None, records: Iterable[Entry | AnchorRating]) -> bool:
    return idempotency_key is not None and idempotency_key in [record.idempotency_key for record in records]
