"""Run and keep audits."""

from app.profiles import Profiles
from app.schemas import AuditReply
from app.store import Store


class Auditing:
    def __init__(self, store: Store, profiles: Profiles) -> None:
        self._store, self._profiles = store, profiles

    async def stored(self, tenant_id: str, audit_id: str | None) -> AuditReply:
        audit = await self._store.audit(tenant_id, audit_id)
        return AuditReply(audit_id=audit.audit_id, created_at=audit.created_at, report=audit.report)

    async def run(self, tenant_id: str) -> AuditReply:
        raise NotImplementedError
