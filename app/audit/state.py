"""The state of all tenants' latest audits together, for whoever watches the service; it names no tenant."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

from app.errors import NotFound
from app.storage.store import Store
from safeguards.findings import Status

STATUSES: tuple[str, ...] = get_args(Status)
REFRESH_SECONDS = 15
"""Reports are read at most so often, however often somebody looks."""


@dataclass(frozen=True)
class AuditState:
    """``findings`` counts those of the latest audits by status; ``oldest`` is when the oldest of these audits was made.

    ``missing`` is the number of tenants that have people and no audit.
    """

    findings: Mapping[str, int]
    oldest: datetime | None
    missing: int

    @property
    def age(self) -> float | None:
        """Seconds since the oldest of the latest audits; None without any."""
        return None if self.oldest is None else (datetime.now(UTC) - self.oldest).total_seconds()


NOTHING = AuditState(dict.fromkeys(STATUSES, 0), None, 0)


async def audit_state(store: Store) -> AuditState:
    """The state of the store at this moment."""
    findings, made, missing = Counter(dict.fromkeys(STATUSES, 0)), [], 0
    for tenant in await store.registry.tenants():
        try:
            audit = await store.audit(tenant, None)
        except NotFound:
            missing += 1
            continue
        made.append(datetime.fromisoformat(audit.created_at))
        findings.update(finding["status"] for finding in audit.report.get("findings", ()))
    return AuditState(findings, min(made, default=None), missing)


class WatchedAudits:
    """Remembers the state for some seconds."""

    def __init__(self, store: Store) -> None:
        self._store, self._read_at = store, -float(REFRESH_SECONDS)
        self.state = NOTHING

    async def refresh(self) -> None:
        """Read the store, unless that was just done. What it raises leaves the last state in place."""
        if time.monotonic() - self._read_at >= REFRESH_SECONDS:
            self.state = await audit_state(self._store)
            self._read_at = time.monotonic()
