"""The log of served rankings: numbers about candidates and no texts, kept for a stated number of days."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Arm = Literal["personal", "aggregate"]


@dataclass(frozen=True)
class ServedRanking:
    """Accepted candidates of one request: ``phi`` (n, K), serving ``rewards`` (n,) in nats, and the ``order`` served.

    ``candidates`` is a digest of the request, which tells that two people were served from the same ones. ``person`` is
    the ``person_uid`` of who asked.
    """

    ranking_id: str
    person: str
    served_at: str
    arm: Arm
    profile_version: str
    basis_version: str
    candidates: str
    phi: tuple[tuple[float, ...], ...]
    rewards: tuple[float, ...]
    order: tuple[int, ...]


class TrafficLog(Protocol):
    """Rows are personal: erasing a person removes theirs."""

    async def add(self, tenant_id: str, user_id: str, ranking: ServedRanking, keep_from: str) -> None:
        """Log it, unless the person is gone by now, and drop the tenant's rows from before ``keep_from``."""

    async def of_tenant(self, tenant_id: str, keep_from: str) -> Sequence[ServedRanking]:
        """A tenant's rows since ``keep_from``, oldest first."""

    async def of_person(self, tenant_id: str, user_id: str) -> Sequence[ServedRanking]:
        """Everything logged of a person, oldest first."""
