"""The settings' limits on what a request holds; every refusal names the value, the limit and the remedy."""

from collections.abc import Sequence

from app.schemas.base import Message, Text
from app.settings import Settings
from elicitation.errors import InvalidInput
from reward_bases.text import Conversation

ASSISTANT = "assistant"


def require_at_most(what: str, number: int, setting: str, settings: Settings) -> None:
    """Raises InvalidInput when ``number`` exceeds the setting."""
    limit = getattr(settings, setting)
    if number > limit:
        raise InvalidInput(f"{number} {what} > limit {limit}; split the request or raise KEEL_{setting.upper()}")


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
    text = completion if isinstance(completion, str) else _said(completion)
    require_at_most("characters in one response", len(text), "max_text_chars", settings)
    return text


def _said(messages: Sequence[Message]) -> str:
    others = {message.role for message in messages} - {ASSISTANT}
    if others:
        raise InvalidInput(f"a completion holds a message of role {min(others)!r}; only {ASSISTANT!r} can be scored")
    return "\n".join(message.content for message in messages)
