"""slime's ``--rm-type remote_rm --rm-url``: one sample per request, and the reply is the bare reward."""

from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, Field

from app.http.dialects.foreign import PERSON_OF_LABEL, Asked, ForeignRequest, Row, Scored
from app.http.dialects.templates import conversation, without_end
from app.schemas.base import Said, Words
from app.schemas.messages import Text


class RemoteReward(ForeignRequest):
    """``label`` may be a dict that names the person."""

    prompt: Said | Asked = Field(description="rendered, plain, or messages")
    response: Words
    label: Any = Field(default=None, json_schema_extra=PERSON_OF_LABEL)

    model_config = ConfigDict(
        json_schema_extra={"example": {"prompt": "Basil?", "response": "Give it light.", "label": {"user_id": "ada"}}}
    )

    def rows(self, template: str | None) -> list[Row]:
        given = self.prompt
        prompt: Text = conversation(given, template) if isinstance(given, str) else [*given]
        return [Row(prompt, without_end(self.response))]

    def reply(self, scored: Scored) -> float:
        return scored.rewards[0]

    def labels_of_rows(self) -> Sequence[object]:
        return () if self.label is None else (self.label,)
