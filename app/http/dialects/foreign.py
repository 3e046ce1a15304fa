"""Common parts of all dialects: the rows of a request, their people, and the numbers of the reply."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from app.http.access import agreed
from app.http.dialects.templates import PLAIN, PROMPT, RESPONSE, ROLES, TEMPLATE_CHARS, TEMPLATES, known, role_of
from app.schemas.base import (
    USER_ID,
    JsonSchema,
    Many,
    Messages,
    Reply,
    Unicode,
    UserId,
    absent,
    limit,
)
from app.schemas.messages import SPEAKING, Flags, Message, Role, Text, asking, calling
from app.schemas.scoring import DetailReply
from app.storage.store import USER_ID_HELP
from elicitation.errors import InvalidInput, PairsFailed

MODEL_PREFIX = "keel/"
USER_NAME = re.compile(USER_ID)
ModelName = Annotated[Unicode, StringConstraints(max_length=1_000)]
Fallback = Literal["aggregate"]
PATTERN = [{"pattern": re.escape(part)} for part in (PROMPT, RESPONSE)]
TemplateName = Annotated[
    str,
    StringConstraints(max_length=TEMPLATE_CHARS),
    AfterValidator(known),
    Field(
        description=f"{', '.join((PLAIN, *TEMPLATES))}, or a pattern with {PROMPT} and {RESPONSE}; default: detected",
        json_schema_extra={"anyOf": [{"enum": [PLAIN, *TEMPLATES]}, {"allOf": PATTERN}]},
    ),
]
"""How texts of a request are rendered."""
RENDERED: JsonSchema = {"format": "rendered-chat"}
"""A text by a chat template, the assistant's turn last: ``templates.split`` reads it, or says what it lacks."""
Rendered = Annotated[Unicode, Field(min_length=1, json_schema_extra=RENDERED)]
ROWS = limit("max_items")
RenderedRows = Annotated[Many[Rendered], Field(min_length=1, json_schema_extra=ROWS)]
PERSON_OF_LABEL: JsonSchema = {
    "if": {"type": "object"},
    "then": {
        "properties": {
            "user_id": {"type": ["string", "number", "boolean", "null"], "pattern": USER_ID, "exclusiveMinimum": 0}
        }
    },
}
"""The JSON schema of a label: it is of any shape, and an object may name a person."""


class Row(NamedTuple):
    """One response to score."""

    prompt: Text
    response: Text


@dataclass(frozen=True)
class Scored:
    """Per row ``rewards`` in nats and ``scores`` in 0–1; ``details`` and ``components`` where the dialect asks.

    ``flags`` are those of all rows.
    """

    rewards: Sequence[float]
    scores: Sequence[float]
    details: Sequence[DetailReply]
    components: Mapping[str, Sequence[float]]
    flags: Sequence[str] = ()

    @classmethod
    def nothing(cls) -> Self:
        """No rows at all."""
        return cls((), (), (), {})

    def numbers(self, raw: bool | None) -> Sequence[float]:
        """Rewards in nats, or the increasing map of them to 0–1."""
        return self.rewards if raw else self.scores

    def best_first(self, top_n: int | None) -> list[int]:
        """Rows by falling reward, equal ones in their order."""
        return sorted(range(len(self.rewards)), key=lambda row: -self.rewards[row])[:top_n]


class ForeignReply(Reply):
    """A reply; ``fallback`` tells that somebody was unknown and got the aggregate's reward."""

    fallback: Fallback | None = Field(default=None, exclude_if=absent)
    flags: Flags = None


class Usage(Reply):
    """Some clients require it; nothing is counted."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class ForeignRequest(BaseModel, ABC):
    """A request in a dialect; fields that Keel does not know are ignored. All that name a person must agree."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    asks: ClassVar[frozenset[Literal["detail", "components"]]] = frozenset()
    """What the reply has room for beside rewards: flags of ``ScoreRequest``."""

    model: ModelName | None = Field(default=None, description="anything; `keel/{id}` names a person")
    user: UserId | None = Field(default=None, description="the person")
    user_id: UserId | None = Field(default=None, description="the person")
    user_ids: Many[UserId] | None = Field(default=None, description="one person per row", json_schema_extra=ROWS)

    @abstractmethod
    def rows(self, template: str | None) -> list[Row]:
        """Rows to score; raises InvalidInput if a row cannot be read."""

    def unjudged(self, error: PairsFailed) -> Reply | None:
        """The reply where a source cannot judge a row; None in formats without a place for it: they get 503."""
        return None

    @abstractmethod
    def reply(self, scored: Scored) -> Any:
        """The reply in the client's format."""

    def labels_of_rows(self) -> Sequence[object]:
        """Labels that the trainer sends with the rows, if any: a dict may name its person as ``user_id``."""
        return ()

    def people(self, rows: int, *elsewhere: str | None) -> list[str | None]:
        """The person of each row, None for the aggregate; raises InvalidInput when two places disagree."""
        common = [self.user, self.user_id, _modelled(self.model), *elsewhere]
        columns: list[Sequence[str | None]] = [
            self.user_ids or [],
            [_labelled(label) for label in self.labels_of_rows()],
        ]
        for column in columns:
            if column and len(column) != rows:
                raise InvalidInput(f"{len(column)} user_ids or labels for {rows} rows; send one per row, or none")
        if not any(columns):
            return [agreed(*common)] * rows
        return [agreed(*common, *(column[row] for column in columns if column)) for row in range(rows)]


def names_of(role: str) -> list[str]:
    """The names that clients have for one of Keel's roles."""
    return [name for name, meant in ROLES.items() if meant == role]


class ForeignMessage(Message):
    """A chat message as OpenAI's interfaces write it; its role may have any of the names that clients use."""

    role: Annotated[
        Role,
        BeforeValidator(lambda name: role_of(name) if isinstance(name, str) else name),
        WithJsonSchema({"type": "string", "enum": list(ROLES)}),
    ] = "assistant"

    model_config = ConfigDict(extra="ignore", json_schema_extra=calling(*names_of("assistant")))

    @property
    def joint(self) -> str:
        """All blocks are pieces of one text, as doors of 0.1.0 read them: a pinned run keeps its rewards."""
        return ""


BY_USER = asking(*names_of("user"))
SPOKEN: JsonSchema = {"contains": SPEAKING}
"""The JSON schema of messages of which one says something."""
Asked = Annotated[
    Messages[ForeignMessage], Field(min_length=1, json_schema_extra=limit("max_messages", allOf=[BY_USER, SPOKEN]))
]
"""A prompt."""
Answered = Annotated[
    Messages[ForeignMessage],
    Field(min_length=1, json_schema_extra=limit("max_messages", 1, minItems=2, allOf=[BY_USER, SPOKEN])),
]
"""A prompt and, in the last message, its response."""


def last_said(messages: Sequence[ForeignMessage]) -> Row:
    """A conversation whose last turn is the response."""
    *asked, last = messages
    if last.role != "assistant" or not asked:
        raise InvalidInput("the last of at least two messages must be the assistant's, the response to score")
    return Row([*asked], [last])


def listed(texts: str | list[str]) -> list[str]:
    """One text, or many, as a list."""
    return [texts] if isinstance(texts, str) else texts


def _modelled(model: str | None) -> str | None:
    return model.removeprefix(MODEL_PREFIX) if model is not None and model.startswith(MODEL_PREFIX) else None


def _labelled(label: object) -> str | None:
    name = label.get("user_id") if isinstance(label, dict) else None
    if name is None:
        return None
    if not isinstance(name, str | int | float) or not USER_NAME.fullmatch(str(name)):
        raise InvalidInput(f"a label names {_kind(name)} as user_id; send {USER_ID_HELP}")
    return str(name)


def _kind(name: object) -> str:
    return f"a text of {len(name)} characters" if isinstance(name, str) else f"a {type(name).__name__}"
