"""The arm that serves a ranking, and the log of served rankings.

With ``explore_rate`` a share of the rankings of people who have answered something is served by the aggregate, so that
the effect of personal rewards is separate from differences in requests. Each request gets an arm by its digest
under the person's own random number: nobody can foresee it, and a repeated request is served alike. A request that pins
a profile version is never drawn.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import torch
from torch import Tensor

from app.profiles.profiles import Profile
from app.schemas.ranking import RankRequest
from app.settings import Settings
from app.storage.store import PersonKey, Store, now
from app.storage.traffic import Arm, ServedRanking
from reward_bases.text import digest
from safeguards.exposure import Ranking

LARGEST = 2**64
DECIMALS = 6
ROWS_MAX = 20_000
"""Latest rankings that an audit looks at."""


class Traffic:
    """Draws the arm and keeps the log; without ``traffic_days`` it does neither."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._rate, self._days, self._store = settings.explore_rate, settings.traffic_days, store

    async def arm(self, tenant_id: str, user_id: str | None, request: RankRequest, profile: Profile) -> Arm:
        """Which reward serves the request."""
        if user_id is None or not profile.answers:
            return "aggregate"
        if not self._rate or request.profile_version is not None:
            return "personal"
        person = (await self._store.find([PersonKey(tenant_id, user_id)]))[0]
        return "aggregate" if drawn(person.person_uid, _digest(request)) < self._rate else "personal"

    async def keep(
        self,
        tenant_id: str,
        user_id: str | None,
        request: RankRequest,
        profile: Profile,
        arm: Arm,
        candidates: tuple[Tensor, Tensor, Tensor],
        order: Sequence[int],
        basis_version: str,
    ) -> None:
        """Log a ranking of ``candidates``, φ (n, K), rewards (n,) and which of them passed the gate (n,), as served."""
        phi, rewards, passed = candidates
        if not self._days or user_id is None or not profile.answers or int(passed.sum()) < 2:
            return
        person = (await self._store.find([PersonKey(tenant_id, user_id)]))[0]
        place = (passed.cumsum(0) - 1).tolist()
        ranking = ServedRanking(
            ranking_id=secrets.token_hex(8),
            person=person.person_uid,
            served_at=now(),
            arm=arm,
            profile_version=profile.version,
            basis_version=basis_version,
            candidates=_digest(request),
            phi=tuple(tuple(round(x, DECIMALS) for x in row) for row in phi[passed].tolist()),
            rewards=tuple(rewards[passed].tolist()),
            order=tuple(place[i] for i in order if bool(passed[i])),
        )
        await self._store.traffic.add(tenant_id, user_id, ranking, self._since())

    async def rankings(self, tenant_id: str, basis_version: str) -> list[Ranking]:
        """The latest rankings under a basis, for an audit; people are numbered."""
        logged = await self._store.traffic.of_tenant(tenant_id, self._since())
        rows = [row for row in logged if row.basis_version == basis_version][-ROWS_MAX:]
        numbers = {person: number for number, person in enumerate(dict.fromkeys(row.person for row in rows))}
        return [
            Ranking(
                numbers[row.person],
                row.arm,
                torch.tensor(row.phi, dtype=torch.float64),
                torch.tensor(row.rewards, dtype=torch.float64),
                row.order,
                row.candidates,
            )
            for row in rows
        ]

    def _since(self) -> str:
        """When the oldest row was served that may be kept."""
        return (datetime.now(UTC) - timedelta(days=self._days)).isoformat()


def drawn(person_uid: str, request: str) -> float:
    """The request's pseudo-random number in [0, 1)."""
    hashed = hashlib.sha256(f"{person_uid} {request}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") / LARGEST


def _digest(request: RankRequest) -> str:
    return digest(request.model_dump_json(include={"prompt", "candidates", "view"}))
