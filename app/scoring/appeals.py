"""Appeals against the gate: what a deployer must look at, kept where only the tenant sees it, and never logged.

An appeal is pending until somebody upholds or overturns the rejection. From then on an overturned response, this very
text, passes for the tenant, whoever sends it. An appeal that names a person is theirs: erasing them removes it, and
with it what it overturned.
"""

import secrets

from app.errors import Conflict
from app.scoring.engine import Engine
from app.storage.appeals import Appeal, AppealStore, Verdict
from app.storage.store import now
from reward_bases.text import Conversation, digest


class Appeals:
    """The use cases around a rejection."""

    def __init__(self, store: AppealStore, engine: Engine) -> None:
        self._store, self._engine = store, engine

    async def make(
        self, tenant_id: str, user_id: str | None, conversation: Conversation, response: str, note: str | None
    ) -> Appeal:
        """A pending appeal; Conflict when the gate lets the response through anyway, NotFound for an unknown person."""
        (item,) = await self._engine.items_of([conversation], [response])
        if item.gate.passed:
            raise Conflict("the gate lets this response through; only a rejected one can be appealed")
        turns = tuple({"role": message.role, "content": message.content} for message in conversation.messages)
        appeal = Appeal(
            appeal_id=f"p_{secrets.token_hex(8)}",
            user_id=user_id,
            conversation=turns,
            response=response,
            response_digest=digest(response),
            reasons=item.gate.reasons,
            note=note,
            made_at=now(),
        )
        await self._store.add(tenant_id, appeal)
        return appeal

    async def pending(self, tenant_id: str, everything: bool) -> list[Appeal]:
        """Those without a verdict, or all."""
        return [appeal for appeal in await self._store.all(tenant_id) if everything or appeal.verdict is None]

    async def resolve(self, tenant_id: str, appeal_id: str, verdict: Verdict) -> Appeal:
        """Uphold or overturn the rejection."""
        return await self._store.resolve(tenant_id, appeal_id, verdict, now())
