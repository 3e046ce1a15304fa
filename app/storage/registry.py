"""Stored facts beside people: keys, served artifacts with their times, and erasures."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Scope(StrEnum):
    """What a key may do; ``app/http/access.py`` says on which routes."""

    SCORE = "score"
    ELICIT = "elicit"
    AUDIT = "audit"
    ADMIN = "admin"
    DELEGATE = "delegate"


EVERY_SCOPE = frozenset(Scope)


@dataclass(frozen=True)
class Key:
    """A tenant's key; ``secret_digest`` is the SHA-256 of its secret, which is stored nowhere.

    ``scopes`` are None for a key made before there were scopes: it has them all. ``bound_to`` is the one person whom it
    reaches, "" where that person was erased. ``made_by`` is the id of the key that made it, ``max_tokens`` its own
    limit of waiting tokens.
    """

    key_id: str
    tenant_id: str
    secret_digest: str
    created_at: str
    revoked_at: str | None = None
    scopes: frozenset[Scope] | None = EVERY_SCOPE
    expires_at: str | None = None
    bound_to: str | None = None
    made_by: str | None = None
    max_tokens: int | None = None

    @property
    def granted(self) -> frozenset[Scope]:
        """The scopes in force."""
        return EVERY_SCOPE if self.scopes is None else self.scopes

    def valid(self, at: str) -> bool:
        """Whether it opens anything at a time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True)
class Deployment:
    """The artifact of profile versions with ``digest`` in them; the latest ``served_at`` is in force.

    ``retired_at`` is when its artifact was deleted, because somebody it was learned from had been erased.
    """

    digest: str
    basis_version: str
    population_version: str
    served_at: str
    retired_at: str | None = None


@dataclass(frozen=True)
class Erasure:
    """Somebody is gone. ``person_uid`` was their random number: it leads to nobody, and tells which populations were
    learned with them (column ``incarnation``)."""

    tenant_id: str
    person_uid: str
    erased_at: str


class Registry(Protocol):
    """Raises NotFound for what is unknown."""

    async def keys(self) -> Sequence[Key]:
        """Every key ever made, oldest first, revoked ones too."""

    async def key(self, key_id: str) -> Key | None:
        """The key of this id, revoked or not."""

    async def add_key(self, key: Key) -> None:
        """Keep it; NotFound where the key that makes it was revoked. Expired keys that other keys made are deleted."""

    async def revoke_key(self, key_id: str, revoked_at: str) -> Key:
        """The key, which opens nothing from now on, nor does any that it made; the first time of revoking stays."""

    async def tenants(self) -> Sequence[str]:
        """Every tenant that has people."""

    async def served(self) -> Sequence[Deployment]:
        """Everything ever served, the one in force last."""

    async def serve(self, served: Deployment, files: bytes) -> None:
        """Put it in force and keep its artifact."""

    async def files(self, digest: str) -> bytes | None:
        """The artifact kept; None where it was retired or never served."""

    async def retire(self, digest: str, retired_at: str) -> None:
        """Delete the artifact kept."""

    async def erasures(self) -> Sequence[Erasure]:
        """Everybody erased, in any order."""
