"""A tenant's view of the engine's items, after its overturned rejections and the deployer's rubrics.

The engine's items are shared by all tenants, so what one tenant overturns is applied here, after their cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.observing.measured import stage
from app.observing.metrics import count_verdicts
from app.scoring.engine import Engine, Item
from app.scoring.rubrics import Rubric, judged
from app.storage.appeals import AppealStore
from reward_bases.reading import each
from reward_bases.reading_rule import ReadingRule
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation, digest


@dataclass(frozen=True)
class Gatekeeper:
    """Opens the engine for a tenant."""

    appeals: AppealStore
    rubrics: tuple[Rubric, ...]

    def engine(self, engine: Engine, tenant_id: str) -> "GatedEngine":
        """The engine as this tenant may use it."""
        return GatedEngine(engine, self, tenant_id)


@dataclass(frozen=True)
class GatedEngine:
    """Items of one tenant, in the order of the request."""

    engine: Engine
    keeper: Gatekeeper
    tenant_id: str

    @property
    def reading(self) -> ReadingRule:
        """What of a response is read."""
        return self.engine.reading

    async def items_of(self, conversations: Sequence[Conversation], responses: Sequence[str]) -> list[Item]:
        """As ``Engine.items_of``; raises RubricFailed when a rubric does not work."""
        items = await self.uncounted(conversations, responses)
        count_verdicts([item.gate.reasons for item in items])
        return items

    async def uncounted(self, conversations: Sequence[Conversation], responses: Sequence[str]) -> list[Item]:
        """The same items, for a request whose verdicts are counted already."""
        items = await self.engine.items_of(conversations, responses)
        if not self.keeper.rubrics and all(item.gate.passed for item in items):
            return items
        overturned = await self.keeper.appeals.overturned(self.tenant_id)
        waived = [place for place, text in enumerate(responses) if overturned and digest(text) in overturned]
        items = await self._let_through(
            items, [i for i in waived if not items[i].gate.passed], conversations, responses
        )
        read = await self.engine.read(responses)
        judging = [i for i, item in enumerate(items) if item.gate.passed and i not in set(waived)]
        with stage("gate"):
            gates = await each(lambda i: judged(self.keeper.rubrics, conversations[i], read[i]), judging)
        found = dict(zip(judging, gates, strict=True))
        return [replace(item, gate=found[i]) if i in found else item for i, item in enumerate(items)]

    async def _let_through(
        self, items: list[Item], places: list[int], conversations: Sequence[Conversation], responses: Sequence[str]
    ) -> list[Item]:
        pairs = [Pair(conversations[i], responses[i]) for i in places]
        fresh = await self.engine.ungated(pairs) if pairs else []
        found = dict(zip(places, fresh, strict=True))
        return [found.get(i, item) for i, item in enumerate(items)]
