"""its_hub: an outcome reward model for one person, to hand to its algorithms: ``BestOfN(OutcomeRewardModel(...))``."""

from collections.abc import Sequence
from typing import Any

from keel import wire
from keel.async_client import AsyncClient
from keel.client import Client
from keel.messages import Message, split

Conversation = Sequence[Message]


class OutcomeRewardModel:
    """Scores whole conversations that end in the assistant's reply, in nats; without a person, by the aggregate."""

    def __init__(self, url: str = wire.DEFAULT_URL, *, user_id: str | None = None, key: str | None = None) -> None:
        self._url, self._key, self._user_id = url, key, user_id
        self._client = Client(url, key=key)

    def score(self, messages: Conversation | Sequence[Conversation], **_: Any) -> float | list[float]:
        """One reward for one conversation, a list for many."""
        rewards = self._client.score(*_columns(messages), user_id=self._user_id).rewards
        return rewards[0] if _single(messages) else list(rewards)

    async def ascore(self, messages: Conversation | Sequence[Conversation], **_: Any) -> float | list[float]:
        """The same, awaited."""
        async with AsyncClient(self._url, key=self._key) as client:
            rewards = (await client.score(*_columns(messages), user_id=self._user_id)).rewards
        return rewards[0] if _single(messages) else list(rewards)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()


def _single(messages: Sequence[Any]) -> bool:
    return isinstance(messages[0], dict)


def _columns(messages: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    pairs = [split(conversation) for conversation in ([messages] if _single(messages) else messages)]
    return [prompt for prompt, _ in pairs], [completion for _, completion in pairs]
