"""Appeals against the gate."""

from pydantic import ConfigDict, Field

from app.schemas.base import Reply, Strict, Unicode, UserId, limit
from app.schemas.messages import Completion, Prompt, Viewed
from app.storage.appeals import Verdict
from reward_bases.reading_rule import View


class AppealRequest(Strict):
    """A rejected response that a person shall review."""

    prompt: Prompt
    response: Completion
    view: Viewed = View.ANSWER
    user_id: UserId | None = None
    note: Unicode | None = Field(
        default=None, description="reason why it should pass", json_schema_extra=limit("max_note_chars")
    )

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"prompt": "What ends a chess game at once?", "response": "Solution:", "note": "It is a title."}
        }
    )


class VerdictRequest(Strict):
    """The decision on an appeal."""

    verdict: Verdict


class AppealReply(Reply):
    """An appeal; `verdict` is null while it waits."""

    appeal_id: str
    user_id: str | None
    prompt: list[dict[str, str]]
    response: str
    reasons: tuple[str, ...]
    note: str | None
    made_at: str
    verdict: Verdict | None
    resolved_at: str | None
