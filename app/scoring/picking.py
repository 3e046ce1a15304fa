"""The best of a set of candidates, where slow sources are asked only while that may change it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.scoring.coefficients import stack_items
from app.scoring.engine import Engine, Item
from app.scoring.gatekeeping import Gatekeeper
from app.sources.pinned import is_slow
from reward_bases.artifact import Artifact
from reward_bases.text import Conversation
from safeguards.robust.search import SlowHeads


@dataclass(frozen=True, eq=False)
class Picked:
    """Items of the candidates that were ``judged``, by sources or by the gate; the places ``unjudged``, that of the
    highest forecast first; and the ``doubt`` that one of these is the best."""

    judged: Mapping[int, Item]
    unjudged: Sequence[int]
    doubt: float


class Picking:
    """Asks the slow sources of an engine's basis about one candidate after another."""

    def __init__(self, engine: Engine, gatekeeper: Gatekeeper) -> None:
        self._engine, self._quick, self._gatekeeper = engine, engine.without_slow(), gatekeeper
        self._heads = slow_heads(engine.artifact)

    async def pick(
        self, tenant_id: str, conversation: Conversation, responses: Sequence[str], coefficients: Tensor, doubt: float
    ) -> Picked:
        """Ask until the doubt is at most ``doubt``; rewards are φ·``coefficients`` (K,).

        One candidate that the gate lets through is judged in any case: a pick has a reward. Rows that the engine has
        at hand cost nothing and are used first.
        """
        conversations = [conversation] * len(responses)
        quick = await self._gatekeeper.engine(self._quick, tenant_id).items_of(conversations, responses)
        judged = _free(quick, await self._engine.at_hand(conversations, responses))
        gated = self._gatekeeper.engine(self._engine, tenant_id)
        phi, passed = stack_items(quick)
        places, forecast = passed.nonzero().flatten().tolist(), self._heads.forecast(phi[passed], coefficients)
        while True:
            phi = torch.stack([judged.get(place, item).phi for place, item in enumerate(quick)])
            asked = torch.tensor([place in judged for place in places], dtype=torch.bool)
            outlook = forecast.after(asked, phi[passed] @ coefficients)
            if outlook.next is None or outlook.doubt <= doubt:
                break
            place = places[outlook.next]
            (judged[place],) = await gated.uncounted([conversation], [responses[place]])
        order = outlook.expected.argsort(descending=True, stable=True).tolist()
        return Picked(judged, [places[i] for i in order if not asked[i]], outlook.doubt)


def slow_heads(artifact: Artifact) -> SlowHeads:
    """What the reference set says of the heads that weigh a column of a slow source."""
    slow = torch.tensor([is_slow(entry) for entry in artifact.sources for _ in entry.columns], dtype=torch.bool)
    weighed = artifact.basis.weights != 0
    named = weighed[:, weighed.shape[1] - len(slow) :]
    return SlowHeads.of(artifact.reference, named[:, slow].any(1))


def _free(quick: Sequence[Item], at_hand: Sequence[Item | None]) -> dict[int, Item]:
    """By place, the items that cost no call: those of rejected responses, and what is at hand of the others."""
    whole = ((item, known if item.gate.passed else item) for item, known in zip(quick, at_hand, strict=True))
    return {
        place: known
        for place, (item, known) in enumerate(whole)
        if known is not None and known.gate.passed == item.gate.passed
    }
