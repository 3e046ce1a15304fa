"""Keys: a client that shows one is its tenant.

As long as no key was ever made, whoever reaches a service on loopback is the tenant ``local``. From the first key on
every client needs one, also after the last is revoked. A key is ``keel_ID_SECRET``: the id finds the row, the secret
has 256 random bits and only its SHA-256 is stored, so a stolen database opens no door.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import Unauthorized
from app.settings import Settings
from app.storage.opening import opened
from app.storage.registry import Key, Registry
from app.storage.store import now
from elicitation.errors import InvalidInput

LOCAL = "local"
"""The tenant of everybody while no key exists."""
TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
SHAPE = re.compile(r"keel_([0-9a-f]{12})_[0-9a-f]{64}")
REMEDY = "send Authorization: Bearer KEY or X-API-Key: KEY; keel key create --tenant NAME makes one"


class Keys:
    """Tells tenants by their keys; ``required`` from the start where other machines reach the service."""

    def __init__(self, registry: Registry, required: bool = False) -> None:
        self._registry, self._required = registry, required

    async def tenant(self, presented: str | None) -> str:
        """The tenant of a presented key; Unauthorized without a valid one, once any key was made."""
        self._required = self._required or bool(await self._registry.keys())
        if not self._required:
            return LOCAL
        if presented is None:
            raise Unauthorized(f"this service needs a key and none was sent; {REMEDY}")
        shape = SHAPE.fullmatch(presented)
        key = await self._registry.key(shape[1]) if shape else None
        digested = _digest(presented)
        if key is None or not hmac.compare_digest(key.secret_digest, digested) or key.revoked_at is not None:
            raise Unauthorized(f"the key sent is unknown or revoked; {REMEDY}")
        return key.tenant_id

    async def create(self, tenant_id: str) -> tuple[Key, str]:
        """A new key and, this once, what a client sends."""
        if not TENANT.fullmatch(tenant_id):
            raise InvalidInput(f"tenant {tenant_id[:80]!r} is no name; use 1 to 64 of letters, digits, '.', '_', '-'")
        key_id = secrets.token_hex(6)
        presented = f"keel_{key_id}_{secrets.token_hex(32)}"
        key = Key(key_id, tenant_id, _digest(presented), now())
        await self._registry.add_key(key)
        return key, presented

    async def revoke(self, key_id: str) -> Key:
        """The key, which opens nothing from now on."""
        return await self._registry.revoke_key(key_id, now())

    async def all(self) -> list[Key]:
        """Every key ever made, oldest first."""
        return list(await self._registry.keys())


@asynccontextmanager
async def stored_keys(settings: Settings) -> AsyncIterator[Keys]:
    """The keys of a data folder, made if missing; a service may be running on it."""
    async with opened(settings) as store:
        yield Keys(store.registry)


def _digest(presented: str) -> str:
    return hashlib.sha256(presented.encode()).hexdigest()
