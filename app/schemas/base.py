"""Parts of requests and replies on the wire. Requests forbid unknown fields; settings bound their sizes.

What the code refuses stands in the JSON schema too, so that a client can check a request before it is sent. Where code
and not pydantic checks a rule, since its message helps more, ``json_schema_extra`` states the rule.
"""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from app.storage import store
from app.storage.store import USER_ID_HELP

T = TypeVar("T")
Many = Annotated[list[T], Field(fail_fast=True)]
"""A list whose validation ends at its first invalid item: a reply needs no error for each of the others."""
Messages = Annotated[list[T], Field(fail_fast=True, max_length=10_000)]
"""The messages of a conversation; settings allow fewer."""
MAX_MEMBERS = 100
"""Members of an object in a request; none of ours has a fifth of them."""
SEED_END = 2**63
"""Seeds are below it. Unlike the last seed it is a floating-point number, which OpenAPI documents have for bounds."""
JsonSchema = dict[str, Any]
SETTING, BEYOND = "x-setting", "x-beyond"
"""In a JSON schema: the setting that bounds a list or a text, and how much the bound is above it."""
USER_ID = f"^{store.USER_ID}$"
UserId = Annotated[str, StringConstraints(pattern=USER_ID), Field(description=USER_ID_HELP)]


def number(value: object) -> object:
    """Refuse what pydantic would make a number of, though JSON has it as a text or a truth value."""
    if isinstance(value, str | bool):
        raise ValueError("a number stands in quotes, or is true or false; send a JSON number")
    return value


Flag = Annotated[bool, Field(strict=True)]
"""true or false: neither 0 nor "no"."""
Number = Annotated[float, Field(strict=True)]
Seed = Annotated[int, Field(ge=0, lt=SEED_END), BeforeValidator(number)]
"""A whole number, which JSON may write as 3.0."""
Positive = Annotated[int, Field(ge=1), BeforeValidator(number)]
"""The same, 1 or more."""


def whole(text: str) -> str:
    """Refuse half a surrogate pair: JSON allows it, but neither the encoder nor the database does."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"half a character at place {error.start}, send whole Unicode") from error
    return text


def limit(setting: str, beyond: int = 0, **keywords: Any) -> JsonSchema:
    """Extras of a JSON schema: the setting that bounds it, and ``keywords``. ``app/http/document.py`` fills it in."""
    return {SETTING: setting, **({BEYOND: beyond} if beyond else {}), **keywords}


def absent(value: object) -> bool:
    """Whether a field is left out where it is written: nobody expects a null."""
    return value is None


def having(**properties: Any) -> JsonSchema:
    """The JSON schema of a list with at least one object of these properties."""
    return {"contains": {"type": "object", "properties": properties, "required": list(properties)}}


MAX_NAME = 128
SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
SAID: JsonSchema = {"pattern": f"[^{SPACE}]"}
"""A text is not blank, as ``str.strip`` understands it."""
Unicode = Annotated[str, AfterValidator(whole)]
Words = Annotated[Unicode, Field(json_schema_extra=limit("max_text_chars"))]
"""A text of any kind, blank ones included."""
Said = Annotated[Unicode, Field(json_schema_extra=limit("max_text_chars", **SAID))]
"""A text that says something."""
Name = Annotated[Unicode, StringConstraints(min_length=1, max_length=MAX_NAME)]


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


PROFILE_VERSION = r"^([0-9]{1,9})-([0-9a-f]{12})(?:-([0-9a-f]{6}))?$"
"""Whose parts ``app.profiles.profiles.VERSION`` reads."""
ProfileVersion = Annotated[
    Name,
    Field(
        description="pin an earlier profile version, which implies the basis",
        json_schema_extra={"pattern": PROFILE_VERSION},
    ),
]
BasisVersion = Annotated[Name, Field(description="refuse the request under any other basis")]
Temperature = Annotated[Number, Field(ge=1e-3, le=1e3, description="KL temperature of your policy, nats")]
Kappa = Annotated[
    Number, Field(ge=0, le=100, description="width of the lower confidence bound, in standard deviations")
]


class ProblemReply(Reply):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="names the value, the limit and the remedy")
    errors: list[dict[str, str]] | None = None
    request_id: str | None = Field(default=None, description="the reply's X-Request-Id; it stands in the log")
