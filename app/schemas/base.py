"""Parts of requests and replies on the wire. Requests forbid unknown fields; settings bound their sizes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

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


class Reply(BaseModel):
    model_config = ConfigDict(frozen=True)


class Message(Strict):
    role: Literal["system", "user", "assistant"]
    content: Unicode


Text = Annotated[
    Unicode | Annotated[list[Message], Field(min_length=1)],
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
