"""Stored appeals: the record, its verdict and the ``AppealStore`` protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Verdict(StrEnum):
    """uphold: the rejection stands; overturn: the text passes from now on."""

    UPHOLD = "uphold"
    OVERTURN = "overturn"


@dataclass(frozen=True)
class Appeal:
    """One rejected response and why somebody says that it should pass."""

    appeal_id: str
    user_id: str | None
    conversation: tuple[dict[str, str], ...]
    response: str
    response_digest: str
    reasons: tuple[str, ...]
    note: str | None
    made_at: str
    verdict: Verdict | None = None
    resolved_at: str | None = None


class AppealStore(Protocol):
    """Raises NotFound for unknown people and appeals."""

    async def add(self, tenant_id: str, appeal: Appeal) -> None: ...

    async def all(self, tenant_id: str) -> Sequence[Appeal]:
        """Every appeal of a tenant, oldest first."""

    async def of_person(self, tenant_id: str, user_id: str) -> Sequence[Appeal]:
        """Those that name a person, oldest first."""

    async def resolve(self, tenant_id: str, appeal_id: str, verdict: Verdict, resolved_at: str) -> Appeal:
        """The appeal with its verdict; a later verdict takes the place of an earlier one."""

    async def overturned(self, tenant_id: str) -> frozenset[str]:
        """Digests of the responses that pass in spite of the gate."""
