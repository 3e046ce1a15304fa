"""Requests of OpenAI's kind: ``input`` is one rendered conversation or many, or ``messages`` is one."""

from typing import Self

from pydantic import Field, model_validator

from app.http.dialects.foreign import ForeignMessage, ForeignRequest, OneOrMany, Row, last_said
from app.http.dialects.templates import split
from app.schemas.base import Messages


class InputRequest(ForeignRequest):
    input: OneOrMany | Messages[ForeignMessage] | None = Field(
        default=None, min_length=1, description="rendered conversations that end in the response, or messages"
    )
    messages: Messages[ForeignMessage] | None = Field(default=None, min_length=1, description="the same as messages")

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
