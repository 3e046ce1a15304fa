"""LLaMA-Factory's PPO with ``reward_model_type: api``: decoded texts of prompt and response in one."""

import secrets

from pydantic import ConfigDict, Field

from app.http.dialects.foreign import ForeignReply, ForeignRequest, RenderedRows, Row, Scored
from app.http.dialects.templates import split


class Evaluation(ForeignRequest):
    """The person can only stand in the URL: /u/{id}/v1/score/evaluation."""

    messages: RenderedRows = Field(description="each a rendered conversation that ends in the response")

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": "model",
                "messages": ["<|im_start|>user\nBasil?<|im_end|>\n<|im_start|>assistant\nGive it light.<|im_end|>\n"],
            }
        }
    )

    def rows(self, template: str | None) -> list[Row]:
        return [Row(*split(text, template)) for text in self.messages]

    def reply(self, scored: Scored) -> "Evaluated":
        return Evaluated(id=f"scoreval-{secrets.token_hex(16)}", model=self.model or "keel", scores=[*scored.rewards])


class Evaluated(ForeignReply):
    id: str
    object: str = "score.evaluation"
    model: str
    scores: list[float] = Field(description="nats")
