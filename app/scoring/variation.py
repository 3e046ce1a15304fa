"""How much a person's own verdicts vary, by their ratings of single responses."""

import asyncio
from collections.abc import Sequence

from app.profiles.profiles import Profile
from app.scoring.coefficients import stack_items
from app.scoring.engine import Engine
from app.storage.store import AnchorRating, PersonKey, Store
from elicitation.anchors import Anchors, anchors
from reward_bases.text import Conversation


async def variation(store: Store, engine: Engine, key: PersonKey, profile: Profile) -> Anchors | None:
    """Anchor estimates beside a profile version; None without ratings."""
    ratings = latest(await store.anchor_ratings(key), profile.position)
    if not ratings:
        return None
    conversations = [Conversation.of(rating.conversation) for rating in ratings]
    phi, _ = stack_items(await engine.items_of(conversations, [rating.response for rating in ratings]))
    return await asyncio.to_thread(anchors, profile.posterior, phi, [rating.level for rating in ratings])


def latest(ratings: Sequence[AnchorRating], position: int) -> list[AnchorRating]:
    """The last rating of each response up to an entry of the answer log."""
    told = [rating for rating in ratings if rating.told_after <= position]
    return list({(Conversation.of(rating.conversation).digest, rating.response): rating for rating in told}.values())
