"""Conversations as trainers write them, in the form that the service takes: what it reads of each message."""

from collections.abc import Mapping, Sequence
from typing import Any

from keel.calls import Text
from keel.errors import InvalidArgument

Message = Mapping[str, Any]
ASSISTANT = "assistant"
FIELDS = ("role", "tool_calls", "function_call", "refusal")
PARTS = ("type", "text", "refusal", "name", "input")


def plain(value: str | Sequence[Message]) -> Text:
    """A prompt or a completion: plain text as it is, messages without anything that the service does not read.

    Of an image, a sound or a file only its type is sent: the service names it as unread.
    """
    return value if isinstance(value, str) else [_plain(message) for message in value]


def split(conversation: Sequence[Message]) -> tuple[Text, Text]:
    """A whole conversation as prompt and completion; raises InvalidArgument unless it ends with the assistant."""
    if len(conversation) < 2 or conversation[-1]["role"] != ASSISTANT:
        raise InvalidArgument(
            f"a conversation of {len(conversation)} messages must end with the assistant's reply to score"
        )
    return plain(conversation[:-1]), plain(conversation[-1:])


def _plain(message: Message) -> dict[str, Any]:
    given = {name: message[name] for name in FIELDS if message.get(name) is not None}
    return given | {"content": _content(message.get("content"))}


def _content(content: Any) -> str | list[dict[str, Any]]:
    if content is None or isinstance(content, str):
        return content or ""
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: part[name] for name in PARTS if name in part}
    return given | ({"content": _content(part["content"])} if part["type"] == "tool_result" else {})
