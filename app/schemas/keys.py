"""Keys that a key makes."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from app.schemas.base import Reply, Strict, number

HOUR, DAY = 3_600, 86_400
Seconds = Annotated[int, Field(ge=1, le=DAY), BeforeValidator(number)]


class KeyRequest(Strict):
    """How long the key shall be valid."""

    seconds: Seconds = Field(default=HOUR, description="at most a day, and no longer than the key that asks")

    model_config = ConfigDict(json_schema_extra={"example": {"seconds": 3600}})


class PersonKeyReply(Reply):
    """A key of one person."""

    key: str = Field(description="what a client sends; it is stored nowhere")
    key_id: str
    expires_at: str = Field(description="UTC, ISO 8601")
