"""Keys that a key makes."""

from typing import Annotated

from pydantic import ConfigDict, Field

from app.schemas.base import Positive, Reply, Strict

HOUR, DAY = 3_600, 86_400


class KeyRequest(Strict):
    """How long the key shall be valid."""

    seconds: Annotated[Positive, Field(le=DAY)] = Field(
        default=HOUR, description="at most a day, and no longer than the key that asks"
    )

    model_config = ConfigDict(json_schema_extra={"example": {"seconds": 3600}})


class PersonKeyReply(Reply):
    """A key of one person."""

    key: str = Field(description="what a client sends; it is stored nowhere")
    key_id: str
    expires_at: str = Field(description="UTC, ISO 8601")
