"""What NeMo-Gym's agents and environment servers ask of a resources server around ``/verify``.

Written after ``SimpleResourcesServer`` of nemo-gym 0.7.0. Its optional fields that would be null are left out.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.schemas.base import Reply, Unicode, absent

SessionId = Annotated[Unicode, StringConstraints(min_length=1, max_length=1_000)]
ReverifyMode = Literal["stateless"]
REVERIFY_MODE: ReverifyMode = "stateless"


class Seed(BaseModel):
    """An agent's row, or an environment server's session; what else it holds is not read."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={"example": {"resources_session_id": "session-1"}},
    )

    resources_session_id: SessionId | None = None


class Seeded(Reply):
    resources_session_id: str | None = Field(
        default=None, exclude_if=absent, description="the caller's own; an agent names none and gets none"
    )


class Close(BaseModel):
    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={"example": {"resources_session_id": "session-1"}},
    )

    resources_session_id: SessionId


class Closed(Reply):
    resources_session_id: str
