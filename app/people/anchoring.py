"""Anchor ratings of single responses, and the noise of a person's judgments estimated from them.

Ratings never move λ. The last rating of a response stands. A profile version sees the ratings of its own time: those
made before the answer log went past it.
"""

import secrets
from collections.abc import Sequence
from dataclasses import asdict

from app.errors import NotFound
from app.people.asking import Asking
from app.profiles.profiles import Profiles, require_person
from app.schemas.asking import AnchorReply, AnchorRequest
from app.schemas.messages import flagged
from app.scoring import bounds
from app.scoring.engine import Engine
from app.scoring.variation import latest, variation
from app.settings import Settings
from app.storage.store import AnchorRating, PersonKey, Store, now
from elicitation.anchors import Anchors
from elicitation.errors import InvalidInput
from reward_bases.text import Conversation, digest


class Anchoring:
    """Takes ratings."""

    def __init__(self, settings: Settings, store: Store, engine: Engine, profiles: Profiles, asking: Asking) -> None:
        self._settings, self._store, self._engine, self._profiles = settings, store, engine, profiles
        self._asking = asking

    async def rate(self, key: PersonKey, request: AnchorRequest, idempotency_key: str | None) -> AnchorReply:
        """Store a rating durably; a repeat with the same key stores nothing."""
        async with self._asking.turn(key):
            person = await require_person(self._store, key)
            request_digest = digest(request.model_dump_json())
            ratings = await self._store.anchor_ratings(key)
            stored = _replayed(ratings, idempotency_key, request_digest)
            if stored is None:
                conversation, response = await self._rated(key, request)
                stored = AnchorRating(
                    anchor_id=f"r_{secrets.token_hex(8)}",
                    told_after=person.position,
                    conversation=tuple(asdict(message) for message in conversation.messages),
                    response=response,
                    level=request.level,
                    idempotency_key=idempotency_key,
                    request_digest=request_digest,
                    logged_at=now(),
                )
                await self._store.add_anchor_rating(key, stored)
            found = await variation(self._store, self._engine, key, await self._profiles.of(person))
            standing_ratings = len(latest(await self._store.anchor_ratings(key), person.position))
        unread = flagged(*(text for text in (request.prompt, request.response) if text is not None))
        return _reply(stored.anchor_id, standing_ratings, found).model_copy(update={"flags": unread})

    async def _rated(self, key: PersonKey, request: AnchorRequest) -> tuple[Conversation, str]:
        """The response that is rated; raises InvalidInput when the gate rejects it."""
        if request.prompt is not None and request.response is not None:
            conversation = bounds.conversation(request.prompt, self._settings)
            (response,) = await bounds.responses([request.response], request.view, self._engine.reading, self._settings)
        else:
            questions = {question.question_id: question for question in await self._store.questions(key)}
            question = questions.get(request.question_id or "")
            if question is None:
                raise NotFound(f"no question {request.question_id!r} was asked of this person; ask for one first")
            conversation = Conversation.of(question.conversation)
            response = question.left if request.side == "left" else question.right
        (item,) = await self._engine.items_of([conversation], [response])
        if not item.gate.passed:
            raise InvalidInput(f"the gate rejects this response ({', '.join(item.gate.reasons)}); rate a real one")
        return conversation, response


def _replayed(ratings: Sequence[AnchorRating], idempotency_key: str | None, request_digest: str) -> AnchorRating | None:
    """The rating that this key made before; InvalidInput when another request made it."""
    made = [rating for rating in ratings if idempotency_key is not None and rating.idempotency_key == idempotency_key]
    if made and made[0].request_digest != request_digest:
        raise InvalidInput("this Idempotency-Key came with another request before; send a fresh key")
    return made[0] if made else None


def _reply(anchor_id: str, ratings: int, found: Anchors | None) -> AnchorReply:
    if found is None or not found.known:
        return AnchorReply(anchor_id=anchor_id, ratings=ratings, aleatoric=None, acceptable=None, excellent=None)
    return AnchorReply(
        anchor_id=anchor_id,
        ratings=ratings,
        aleatoric=found.noise,
        acceptable=found.acceptable,
        excellent=found.excellent,
    )
