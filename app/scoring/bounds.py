"""The settings' limits on what a request holds; every refusal names the value, the limit and the remedy."""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from app.schemas.base import Message, Text
from app.settings import Settings
from elicitation.errors import InvalidInput
from reward_bases.text import Conversation

ASSISTANT = "assistant"
TEMPLATE_CHARS = 64
"""Characters that a chat template writes around one message."""


def require_at_most(what: str, number: int, setting: str, settings: Settings) -> None:
    """Raises InvalidInput when ``number`` exceeds the setting."""
    limit = getattr(settings, setting)
    if number > limit:
        raise InvalidInput(f"{number} {what} > limit {limit}; split the request or raise KEEL_{setting.upper()}")


def foreign(request: BaseModel, settings: Settings) -> int:
    """The number of characters in a foreign request; raises InvalidInput when a list or a text of it is too long.

    A rendered text holds a prompt and a response, and a few characters of its template at each message.
    """
    rows = max(settings.max_items, settings.max_messages)
    longest = total = 0
    for value in _sized(request):
        if isinstance(value, list):
            if len(value) > rows:
                require_at_most("items in one list", len(value), "max_items", settings)
        else:
            longest, total = max(longest, len(value)), total + len(value)
    if longest > 2 * settings.max_text_chars + TEMPLATE_CHARS * settings.max_messages:
        require_at_most("characters in one text", longest, "max_text_chars", settings)
    return total


def _sized(value: object) -> Iterator[str | list[object]]:
    """Every declared list and text of a request, lists first; labels, which are of any shape, are not read."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield value
        for item in value:
            yield from _sized(item)
    elif isinstance(value, BaseModel):
        for item in value.__dict__.values():
            yield from _sized(item)


def conversations(prompts: Sequence[Text], settings: Settings) -> list[Conversation]:
    """Each prompt as a conversation; equal plain prompts share one object."""
    plain = {prompt: conversation(prompt, settings) for prompt in prompts if isinstance(prompt, str)}
    return [plain[prompt] if isinstance(prompt, str) else conversation(prompt, settings) for prompt in prompts]


def conversation(prompt: Text, settings: Settings) -> Conversation:
    """A prompt as a conversation; raises InvalidInput when it is empty or too long."""
    messages = prompt if isinstance(prompt, list) else [Message(role="user", content=prompt)]
    require_at_most("messages in one prompt", len(messages), "max_messages", settings)
    text = "".join(message.content for message in messages)
    if not text.strip():
        raise InvalidInput("a prompt is empty; say what the response answers")
    require_at_most("characters in one prompt", len(text), "max_text_chars", settings)
    return Conversation.of([{"role": message.role, "content": message.content} for message in messages])


def response(completion: Text, settings: Settings) -> str:
    """A completion as text: its own, or that of its assistant messages. An empty one is left to the gate."""
    if not isinstance(completion, str):
        require_at_most("messages in one response", len(completion), "max_messages", settings)
    text = completion if isinstance(completion, str) else _said(completion)
    require_at_most("characters in one response", len(text), "max_text_chars", settings)
    return text


def _said(messages: Sequence[Message]) -> str:
    others = {message.role for message in messages} - {ASSISTANT}
    if others:
        raise InvalidInput(f"a completion holds a message of role {min(others)!r}; only {ASSISTANT!r} can be scored")
    return "\n".join(message.content for message in messages)
