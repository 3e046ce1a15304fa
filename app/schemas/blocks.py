"""Content blocks and calls of tools, as OpenAI's and Anthropic's interfaces write them."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.schemas.base import Many, Unicode, Words, limit

TEXTS = ("text", "input_text", "output_text")


def _written(arguments: object) -> object:
    return json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, dict) else arguments


Arguments = Annotated[
    Unicode, BeforeValidator(_written), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})
]
"""Arguments of a tool as a text, or as an object that becomes one."""


class Foreign(BaseModel):
    """A part of a message; what its interface adds to it is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class TextBlock(Foreign):
    type: Literal["text", "input_text", "output_text"]
    text: Words


class RefusalBlock(Foreign):
    """The person reads it, so it is read as text."""

    type: Literal["refusal"]
    refusal: Words


class ThinkingBlock(Foreign):
    """Never read."""

    type: Literal["thinking", "redacted_thinking", "reasoning"]


class UnreadBlock(Foreign):
    """Named as unread in the reply."""

    type: Literal[
        "image",
        "image_url",
        "input_image",
        "audio",
        "audio_url",
        "input_audio",
        "video",
        "video_url",
        "file",
        "input_file",
        "document",
    ]


class CallBlock(Foreign):
    type: Literal["tool_use"]
    name: Unicode
    input: Arguments = "{}"

    @property
    def call(self) -> str:
        return f"{self.name} {self.input}"


ResultPart = Annotated[TextBlock | UnreadBlock, Field(discriminator="type")]


class ResultBlock(Foreign):
    type: Literal["tool_result"]
    content: Words | Annotated[Many[ResultPart], Field(json_schema_extra=limit("max_messages"))] | None = None

    @property
    def parts(self) -> Sequence[TextBlock | UnreadBlock]:
        return self.content if isinstance(self.content, list) else []

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.parts if isinstance(part, TextBlock))


Block = Annotated[
    TextBlock | RefusalBlock | ThinkingBlock | UnreadBlock | CallBlock | ResultBlock, Field(discriminator="type")
]


class Function(Foreign):
    name: Unicode
    arguments: Arguments = "{}"

    @property
    def call(self) -> str:
        return f"{self.name} {self.arguments}"


class ToolCall(Foreign):
    function: Function


def said(block: Block) -> str:
    """The words of a block that its role says; empty for all other blocks."""
    if isinstance(block, RefusalBlock):
        return block.refusal
    return block.text if isinstance(block, TextBlock) else ""
