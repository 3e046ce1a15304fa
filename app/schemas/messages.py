"""Prompts and responses: plain texts, or messages as OpenAI's and Anthropic's interfaces write them.

Text, refusals, calls of tools and their results become turns. Thinking that has a block or a field of its own is never
shown to the person and not read. Images, sounds and files are not read either; ``unread`` tells of them.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from app.schemas.base import SAID, JsonSchema, Many, Messages, Said, Strict, Unicode, Words, absent, limit
from app.schemas.blocks import TEXTS, Block, CallBlock, Function, ResultBlock, ToolCall, UnreadBlock, said
from reward_bases.reading_rule import View
from reward_bases.text import Turn

Role = Literal["system", "developer", "user", "assistant", "tool"]


def calling(*assistants: str) -> JsonSchema:
    """The rule of the JSON schema of a message: only a role of these names has calls or a refusal."""
    others = {"properties": {name: {"type": "null"} for name in ("tool_calls", "function_call", "refusal")}}
    return {"anyOf": [{"properties": {"role": {"enum": list(assistants)}}}, others]}


class Message(Strict):
    """A message of a chat, with the fields that chat interfaces give it."""

    role: Role
    content: Words | Annotated[Many[Block], Field(json_schema_extra=limit("max_messages"))] | None = None
    tool_calls: Annotated[Many[ToolCall], Field(json_schema_extra=limit("max_messages"))] | None = Field(
        default=None, exclude_if=absent
    )
    refusal: Words | None = Field(default=None, exclude_if=absent)
    function_call: Function | None = Field(default=None, exclude_if=absent)
    audio: dict[str, Any] | None = Field(default=None, exclude=True, description="named as unread in the reply")
    reasoning: Any = Field(default=None, exclude=True, description="not read")
    reasoning_content: Any = Field(default=None, exclude=True, description="not read")
    annotations: Any = Field(default=None, exclude=True, description="not read")
    name: Unicode | None = Field(default=None, exclude_if=absent)
    tool_call_id: Unicode | None = Field(default=None, exclude_if=absent)
    id: Unicode | None = Field(default=None, exclude_if=absent)
    type: Literal["message"] | None = Field(default=None, exclude_if=absent)
    status: Unicode | None = Field(default=None, exclude_if=absent)
    phase: Unicode | None = Field(default=None, exclude_if=absent)

    model_config = ConfigDict(json_schema_extra=calling("assistant"))

    @model_validator(mode="after")
    def only_the_assistant_calls_and_refuses(self) -> Self:
        if self.role != "assistant" and (self.tool_calls, self.function_call, self.refusal) != (None, None, None):
            raise ValueError(f"a message of role {self.role!r} has calls or a refusal; only 'assistant' has them")
        return self

    @property
    def blocks(self) -> Sequence[Block]:
        return self.content if isinstance(self.content, list) else []

    @property
    def lists(self) -> list[Sequence[object]]:
        """Every list in the message."""
        return [self.blocks, self.tool_calls or [], *(block.parts for block in self._results)]

    @property
    def turns(self) -> list[Turn]:
        """The results of tools, if the message brings any, and then what its role says and calls, if it does."""
        results = [Turn("tool", block.text) for block in self._results]
        own = not results or len(results) < len(self.blocks)
        return [*results, *([Turn(self.role, self.words, tuple(self._calls))] if own else [])]

    @property
    def unread(self) -> bool:
        """Whether the message holds an image, a sound or a file."""
        parts = [*self.blocks, *(part for block in self._results for part in block.parts)]
        return bool(self.audio) or any(isinstance(part, UnreadBlock) for part in parts)

    @property
    def _results(self) -> list[ResultBlock]:
        return [block for block in self.blocks if isinstance(block, ResultBlock)]

    @property
    def words(self) -> str:
        """The assistant's blocks are pieces of one text; those of others stand on lines of their own."""
        content = [self.content] if isinstance(self.content, str) else map(said, self.blocks)
        words = filter(None, (*content, self.refusal))
        return self.joint.join(words)

    @property
    def joint(self) -> str:
        """What stands between the words of two blocks."""
        return "" if self.role == "assistant" else "\n"

    @property
    def _calls(self) -> list[str]:
        functions = [*(call.function for call in self.tool_calls or ()), *filter(None, [self.function_call])]
        return [*(b.call for b in self.blocks if isinstance(b, CallBlock)), *(each.call for each in functions)]


Text = Unicode | Messages[Message]
"""A prompt or a response in code."""
UNREAD = "unread_content"


def turns(messages: Sequence[Message]) -> list[Turn]:
    """The turns of all messages, in their order."""
    return [turn for message in messages for turn in message.turns]


def flagged(*texts: Text) -> list[str] | None:
    """The flag of a reply to these texts, if one of them holds an image, a sound or a file."""
    unread = any(message.unread for text in texts if not isinstance(text, str) for message in text)
    return [UNREAD] if unread else None


def object_with(**properties: JsonSchema) -> JsonSchema:
    """The JSON schema of an object that has these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def speaking(*blocks: JsonSchema) -> JsonSchema:
    """The JSON schema of a content that says something in words or in one of these blocks."""
    return {"anyOf": [{"type": "string", **SAID}, {"type": "array", "contains": {"anyOf": list(blocks)}}]}


TEXT = object_with(type={"enum": list(TEXTS)}, text={"type": "string", **SAID})
REFUSAL = object_with(type={"const": "refusal"}, refusal={"type": "string", **SAID})
RESULT = object_with(type={"const": "tool_result"}, content=speaking(TEXT))
RESULTS: JsonSchema = {"type": "array", "minItems": 1, "items": object_with(type={"const": "tool_result"})}
"""A content that brings results of tools and nothing else."""
SPEAKING: JsonSchema = {
    "anyOf": [object_with(content=speaking(TEXT, REFUSAL, RESULT)), object_with(refusal={"type": "string", **SAID})]
}
ANSWERING: JsonSchema = {
    "anyOf": [object_with(role={"enum": ["assistant", "tool"]}), object_with(role={"const": "user"}, content=RESULTS)]
}


def asking(*users: str) -> JsonSchema:
    """The JSON schema of messages of which one is a user's, by a role of these names."""
    return {"contains": object_with(role={"enum": list(users)}) | {"not": object_with(content=RESULTS)}}


ASKED = limit("max_messages", allOf=[asking("user"), {"contains": SPEAKING}])
ANSWERED = limit("max_messages", allOf=[{"items": ANSWERING}])
HELP = "plain text, or messages with roles, content blocks and calls of tools"
Prompt = Annotated[
    Said | Annotated[Messages[Message], Field(min_length=1, json_schema_extra=ASKED)], Field(description=HELP)
]
"""At least one message is the user's, and one says something."""
Completion = Annotated[
    Words | Annotated[Messages[Message], Field(min_length=1, json_schema_extra=ANSWERED)], Field(description=HELP)
]
"""A trajectory: all messages are the assistant's, or bring results of tools."""
Flags = Annotated[
    list[str] | None,
    Field(
        description=f"`{UNREAD}` where an image, a sound or a file was not read; left out where all was read",
        exclude_if=absent,
    ),
]
Viewed = Annotated[
    View,
    Field(
        description="what is read of a response that is a list of messages. answer: the assistant's last words (under "
        "reading rule 1 all of the assistant's words); trace: all words, calls and results of tools, a line each",
        exclude_if=lambda view: view is View.ANSWER,
    ),
]
