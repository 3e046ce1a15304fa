"""Parts of requests and replies on the wire. Requests forbid unknown fields; settings bound their sizes."""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

T = TypeVar("T")
Many = Annotated[list[T], Field(fail_fast=True)]
"""A list whose validation ends at its first invalid item: a reply needs no error for each of the others."""
Messages = Annotated[list[T], Field(fail_fast=True, max_length=10_000)]
"""The messages of a conversation; settings allow fewer."""
MAX_MEMBERS = 100
"""Members of an object in a request; none of ours has a fifth of them."""
SEED_MAX = 2**63 - 1
USER_ID = r"^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$"
USER_ID_HELP = "1 to 128 letters, digits or . _ : @ + -, the first a letter or digit"
UserId = Annotated[str, StringConstraints(pattern=USER_ID), Field(description=USER_ID_HELP)]


def whole(text: str) -> str:
    """Refuse half a surrogate pair: JSON allows it, but neither the encoder nor the database does."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"half a character at place {error.start}, send whole Unicode") from error
    return text


Unicode = Annotated[str, AfterValidator(whole)]
Name = Annotated[Unicode, StringConstraints(min_length=1, max_length=128)]


class Strict(BaseModel):
    """A request: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _has_few_members(cls, body: object) -> object:
        # Each unknown field is an error of its own: so many of them are refused as one.
        if isinstance(body, dict) and len(body) > MAX_MEMBERS:
            raise ValueError(f"{len(body)} members in an object > limit {MAX_MEMBERS}; send the documented ones")
        return body


class Reply(BaseModel):
    model_config = ConfigDict(frozen=True)


class Message(Strict):
    role: Literal["system", "user", "assistant"]
    content: Unicode


Text = Annotated[
    Unicode | Annotated[Messages[Message], Field(min_length=1)],
    Field(description="plain text, or messages {role, content}"),
]
ProfileVersion = Annotated[Name, Field(description="pin an earlier profile version, which implies the basis")]
BasisVersion = Annotated[Name, Field(description="refuse the request under any other basis")]
Temperature = Annotated[float, Field(ge=1e-3, le=1e3, description="KL temperature of your policy, nats")]
Kappa = Annotated[float, Field(ge=0, le=100, description="width of the lower confidence bound, in standard deviations")]


class ProblemReply(Reply):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="names the value, the limit and the remedy")
    errors: list[dict[str, str]] | None = None
    request_id: str | None = Field(default=None, description="the reply's X-Request-Id; it stands in the log")
