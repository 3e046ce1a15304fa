"""Requests of OpenAI's kind: ``input`` is one rendered conversation or many, or ``messages`` is one."""

from typing import Any, Self

from pydantic import Field, model_validator

from app.http.dialects.foreign import Answered, ForeignMessage, ForeignRequest, Rendered, RenderedRows, Row, last_said
from app.http.dialects.templates import split

NAMES = ("input", "messages")
ONE_OF_BOTH: dict[str, Any] = {
    "oneOf": [{"properties": {name: {"type": ["string", "array"]}}, "required": [name]} for name in NAMES],
}
"""The rule of every subclass, for its JSON schema."""


class InputRequest(ForeignRequest):
    input: Rendered | RenderedRows | Answered | None = Field(
        default=None, description="rendered conversations that end in the response, or messages"
    )
    messages: Answered | None = Field(default=None, description="the same as messages")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.input is None) == (self.messages is None):
            raise ValueError("send either input or messages")
        return self

    def rows(self, template: str | None) -> list[Row]:
        given = self.messages if self.input is None else self.input
        if isinstance(given, str):
            return [Row(*split(given, template))]
        texts = [item for item in given or () if isinstance(item, str)]
        if texts:
            return [Row(*split(text, template)) for text in texts]
        return [last_said([item for item in given or () if isinstance(item, ForeignMessage)])]
