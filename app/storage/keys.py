"""Keys: a client that shows one is its tenant, and may do what the key's scopes allow.

As long as no key was ever made, whoever reaches a service on loopback is the tenant ``local``. From the first key on
every client needs one, also after the last is revoked. A key is ``keel_ID_SECRET``: the id finds the row, the secret
has 256 random bits and only its SHA-256 is stored, so a stolen database opens no door.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr

from app.errors import Conflict, NotFound, Unauthorized
from app.settings import Settings
from app.storage.opening import opened
from app.storage.registry import EVERY_SCOPE, Key, Registry, Scope
from app.storage.store import USER_ID, USER_ID_HELP, now
from elicitation.errors import InvalidInput

LOCAL = "local"
"""The tenant of everybody while no key exists."""
TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
SHAPE = re.compile(r"keel_([0-9a-f]{12})_[0-9a-f]{64}")
REMEDY = "send Authorization: Bearer KEY or X-API-Key: KEY; keel key create --tenant NAME makes one"

OF_ONE_PERSON = frozenset({Scope.SCORE, Scope.ELICIT})
"""The scopes of a key that is bound to a person: all others reach everybody."""


@dataclass(frozen=True)
class Grant:
    """What a request may do: within ``tenant``, with ``scopes``, about ``bound_to`` alone if that is not None.

    ``key`` is None where no key was needed. The waiting tokens of ``payer`` are bounded by ``max_tokens``.
    """

    tenant: str
    scopes: frozenset[Scope] = EVERY_SCOPE
    bound_to: str | None = None
    key: Key | None = None

    @property
    def max_tokens(self) -> int | None:
        return self.key.max_tokens if self.key else None

    @property
    def payer(self) -> str:
        """The id under which waiting tokens are counted: a key and those that it made share one limit."""
        return (self.key.made_by or self.key.key_id) if self.key else ""


@dataclass(frozen=True)
class Wish:
    """A key to make. ``scopes`` None are all, or those of one person; ``max_tokens`` as in ``Key``."""

    scopes: frozenset[Scope] | None = None
    expires_at: str | None = None
    bound_to: str | None = None
    max_tokens: int | None = None


ANYTHING = Wish()


class Keys:
    """Tells tenants by their keys; ``required`` from the start where other machines reach the service."""

    def __init__(self, registry: Registry, required: bool = False) -> None:
        self._registry, self._required = registry, required

    async def grant(self, presented: str | None) -> Grant:
        """What a presented key allows; Unauthorized without a valid one, once any key was made."""
        self._required = self._required or bool(await self._registry.keys())
        if not self._required:
            return Grant(LOCAL)
        if presented is None:
            raise Unauthorized(f"this service needs a key and none was sent; {REMEDY}")
        shape = SHAPE.fullmatch(presented)
        key = await self._registry.key(shape[1]) if shape else None
        grant = granted(key, presented)
        if grant is None:
            raise Unauthorized(f"the key sent is unknown, expired or revoked; {REMEDY}")
        return grant

    async def create(self, tenant_id: str, wish: Wish = ANYTHING) -> tuple[Key, str]:
        """A new key and, this once, what a client sends."""
        if not TENANT.fullmatch(tenant_id):
            raise InvalidInput(f"tenant {tenant_id[:80]!r} is no name; use 1 to 64 of letters, digits, '.', '_', '-'")
        return await self._add(tenant_id, wish, None)

    async def delegate(self, maker: Grant, user_id: str, seconds: int) -> tuple[Key, str]:
        """A key of scope ``elicit`` for one person; it ends with its maker, at the latest.

        Raises Conflict while the service has no keys: the first one would close it to everybody else.
        """
        if maker.key is None:
            raise Conflict("this service has no keys, so it needs none; keel key create --tenant NAME makes the first")
        ends = (datetime.fromisoformat(now()) + timedelta(seconds=seconds)).isoformat()
        expires_at = min(ends, maker.key.expires_at or ends)
        wish = Wish(frozenset({Scope.ELICIT}), expires_at, user_id, maker.max_tokens)
        try:
            return await self._add(maker.tenant, wish, maker.key.key_id)
        except NotFound as error:
            raise Unauthorized(f"the key sent is unknown, expired or revoked; {REMEDY}") from error

    async def _add(self, tenant_id: str, wish: Wish, made_by: str | None) -> tuple[Key, str]:
        _require_possible(wish)
        key_id = secrets.token_hex(6)
        presented = f"keel_{key_id}_{secrets.token_hex(32)}"
        scopes = wish.scopes or (EVERY_SCOPE if wish.bound_to is None else OF_ONE_PERSON)
        key = Key(
            key_id,
            tenant_id,
            _digest(presented),
            now(),
            scopes=scopes,
            expires_at=wish.expires_at,
            bound_to=wish.bound_to,
            made_by=made_by,
            max_tokens=wish.max_tokens,
        )
        await self._registry.add_key(key)
        return key, presented

    async def revoke(self, key_id: str) -> Key:
        """The key, which opens nothing from now on, as all that it made."""
        return await self._registry.revoke_key(key_id, now())

    async def all(self) -> list[Key]:
        """Every key ever made, oldest first."""
        return list(await self._registry.keys())


@asynccontextmanager
async def stored_keys(settings: Settings) -> AsyncIterator[Keys]:
    """The keys of a data folder, made if missing; a service may be running on it."""
    async with opened(settings) as store:
        yield Keys(store.registry)


def granted(key: Key | None, presented: str) -> Grant | None:
    """What a stored key allows whoever presents it; None where that is another's, or it opens nothing any more."""
    digested = _digest(presented)
    if key is None or not hmac.compare_digest(key.secret_digest, digested) or not key.valid(now()):
        return None
    return Grant(key.tenant_id, key.granted, key.bound_to, key)


def scopes_of(presented: SecretStr | None, keys: Iterable[Key]) -> frozenset[Scope]:
    """The scopes of a presented key among the stored ``keys``; none where it is none of them, or opens nothing."""
    found = () if presented is None else (granted(key, presented.get_secret_value()) for key in keys)
    return next((grant.scopes for grant in found if grant is not None), frozenset())


def listed(scopes: frozenset[Scope] | None) -> str:
    """Scopes in words."""
    if scopes is None:
        return "all (made before there were scopes)"
    return "all" if scopes == EVERY_SCOPE else ", ".join(sorted(scopes))


def _require_possible(wish: Wish) -> None:
    if wish.bound_to is not None and not re.fullmatch(USER_ID, wish.bound_to):
        raise InvalidInput(f"user {wish.bound_to[:80]!r} is no name of a person; use {USER_ID_HELP}")
    beyond = (wish.scopes or OF_ONE_PERSON) - OF_ONE_PERSON
    if wish.bound_to is not None and beyond:
        raise InvalidInput(f"a key of one person cannot have {listed(beyond)}; give it score, elicit or both")
    if wish.expires_at is not None and wish.expires_at <= now():
        raise InvalidInput(f"a key that expires at {wish.expires_at} opens nothing; choose a time to come")
    if wish.max_tokens is not None and wish.max_tokens < 1:
        raise InvalidInput(f"{wish.max_tokens} tokens < 1; a key needs at least one to score anything")


def _digest(presented: str) -> str:
    return hashlib.sha256(presented.encode()).hexdigest()
