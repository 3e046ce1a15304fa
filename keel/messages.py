"""Conversations as trainers write them, in the form that the service takes: messages of role and content alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from keel.calls import Text
from keel.errors import InvalidArgument

Message = Mapping[str, Any]
ASSISTANT = "assistant"


def prompt(value: str | Sequence[Message]) -> Text:
    """A prompt: plain text as it is, messages without anything but role and text."""
    return value if isinstance(value, str) else [_plain(message) for message in value]


def completion(value: str | Sequence[Message]) -> str:
    """A completion's text: what the assistant said in it, without the replies of tools."""
    if isinstance(value, str):
        return value
    return "\n".join(_plain(message)["content"] for message in value if message["role"] == ASSISTANT)


def split(conversation: Sequence[Message]) -> tuple[Text, str]:
    """A whole conversation as prompt and completion; raises InvalidArgument unless it ends with the assistant."""
    if len(conversation) < 2 or conversation[-1]["role"] != ASSISTANT:
        raise InvalidArgument(
            f"a conversation of {len(conversation)} messages must end with the assistant's reply to score"
        )
    return prompt(conversation[:-1]), completion(conversation[-1:])


def _plain(message: Message) -> dict[str, str]:
    content = message["content"] or ""
    if not isinstance(content, str):
        content = "\n".join(part["text"] for part in content if part.get("type") == "text")
    return {"role": message["role"], "content": content}
