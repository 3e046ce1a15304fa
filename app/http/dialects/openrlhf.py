"""OpenRLHF's ``--reward.remote_url``: the decoded text of prompt and response, and the prompt as it was rendered."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from app.http.dialects.foreign import PERSON_OF_LABEL, RENDERED, ROWS, ForeignReply, ForeignRequest, Row, Scored
from app.http.dialects.templates import continuation, conversation, split
from app.schemas.base import Many, Said, Unicode
from elicitation.errors import InvalidInput


class GetReward(ForeignRequest):
    """The response is ``query`` without its prompt and without the tokens that end a text.

    A trainer with more addresses than queries sends an empty list to some of them, as OpenRLHF to 0.11.0 does.
    """

    asks = frozenset({"components"})

    query: Many[Annotated[Unicode, Field(json_schema_extra=RENDERED)]] = Field(
        description="prompt and response, special tokens kept; an empty list gets empty lists", json_schema_extra=ROWS
    )
    prompts: Annotated[Many[Said], Field(json_schema_extra=ROWS)] | None = Field(
        default=None, description="the prompts as the model was given them"
    )
    labels: Annotated[list[Any], Field(json_schema_extra=ROWS | {"items": PERSON_OF_LABEL})] | None = Field(
        default=None, description='the label column; {"user_id": id} names a person'
    )

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "query": ["<|im_start|>user\nBasil?<|im_end|>\n<|im_start|>assistant\nGive it light.<|im_end|>"],
                "prompts": ["<|im_start|>user\nBasil?<|im_end|>\n<|im_start|>assistant\n"],
                "labels": [{"user_id": "ada"}],
            }
        }
    )

    def rows(self, template: str | None) -> list[Row]:
        if self.prompts is None:
            return [Row(*split(query, template)) for query in self.query]
        if len(self.prompts) != len(self.query):
            raise InvalidInput(f"{len(self.prompts)} prompts for {len(self.query)} queries; send one prompt per query")
        pairs = zip(self.query, self.prompts, strict=True)
        return [Row(conversation(prompt, template), continuation(query, prompt)) for query, prompt in pairs]

    def reply(self, scored: Scored) -> "Rewarded":
        scores = list(scored.scores)
        logs = {f"keel_{name}": list(shares) for name, shares in scored.components.items()}
        return Rewarded(rewards=list(scored.rewards), scores=scores, extra_logs={"keel_score": scores} | logs)

    def labels_of_rows(self) -> Sequence[object]:
        return self.labels or ()


class Rewarded(ForeignReply):
    rewards: list[float] = Field(description="nats")
    scores: list[float] = Field(description="the same in 0–1")
    extra_logs: dict[str, list[float]] = Field(
        description="what the trainer logs beside the reward: keel_score, and keel_{name} for each component"
    )
