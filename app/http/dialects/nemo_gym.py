"""NeMo-Gym's ``/verify``: a prompt and what a model made of it, in OpenAI's Responses format, echoed with a reward."""

import json
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from app.http.dialects.foreign import (
    BY_USER,
    ROWS,
    SPOKEN,
    Echoed,
    ForeignMessage,
    ForeignRequest,
    Row,
    Scored,
    conversation_of,
)
from app.schemas.base import SAID, JsonSchema, Many, Messages, Reply, Unicode, UserId, Words, absent, limit
from app.schemas.messages import Message, Text

ASKED = limit("max_messages", **BY_USER)
SAID_BY_INPUT: JsonSchema = {"anyOf": [{"type": "string", **SAID}, {"type": "array", **SPOKEN}]}
INSTRUCTED: JsonSchema = {"properties": {"instructions": {"type": "string", **SAID}}, "required": ["instructions"]}


def echoable(body: object) -> object:
    """The body, if it can be sent back or is no object at all; raises ValueError where no JSON holds it."""
    if not isinstance(body, dict):
        return body
    try:
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except (UnicodeEncodeError, ValueError) as error:
        raise ValueError("the body holds NaN, infinity or half a character; send whole JSON") from error
    return body


class CreateParams(Echoed):
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"properties": {"input": SAID_BY_INPUT}}, INSTRUCTED]})

    instructions: Words | None = None
    input: Words | Annotated[Messages[ForeignMessage], Field(min_length=1, json_schema_extra=ASKED)]
    user: UserId | None = None


class OutputText(Echoed):
    text: Unicode = ""


class OutputItem(Echoed):
    """Only messages hold text; reasoning and calls of tools are not scored."""

    type: str = "message"
    content: Annotated[Many[OutputText], Field(json_schema_extra=ROWS)] | None = None


class Output(Echoed):
    output: Messages[OutputItem] = Field(json_schema_extra=ROWS)


class VerifyRequest(ForeignRequest):
    """The dataset's row may name the person as ``user_id``."""

    asks = frozenset({"detail", "components"})

    responses_create_params: CreateParams
    response: Output

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "responses_create_params": {"input": [{"role": "user", "content": "Basil?"}]},
                "response": {
                    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Give it light."}]}]
                },
                "user_id": "ada",
            }
        },
    )

    @model_validator(mode="before")
    @classmethod
    def _can_be_echoed(cls, body: object) -> object:
        return echoable(body)

    def rows(self, template: str | None) -> list[Row]:
        params = self.responses_create_params
        system = [Message(role="system", content=params.instructions)] if params.instructions else []
        if isinstance(params.input, str):
            asked: Text = [*system, Message(role="user", content=params.input)] if system else params.input
        else:
            asked = [*system, *conversation_of(params.input)]
        messages = [item for item in self.response.output if item.type == "message"]
        return [Row(asked, "".join(part.text for item in messages for part in item.content or ()))]

    def people(self, rows: int, *elsewhere: str | None) -> list[str | None]:
        return super().people(rows, self.responses_create_params.user, *elsewhere)

    def reply(self, scored: Scored) -> "Verified":
        reward, detail = scored.rewards[0], scored.details[0]
        components = {name: shares[0] for name, shares in scored.components.items()}
        echo = self.model_dump(exclude_unset=True)
        own = {"reward": reward, "mask_sample": False, "reward_components": components}
        reasons = {} if detail.gate.passed else {"failure_reason": f"gate: {', '.join(detail.gate.reasons)}"}
        return Verified.model_validate(echo | own | reasons)


class Verified(Reply):
    """The request and what it is worth."""

    model_config = ConfigDict(extra="allow")

    reward: float = Field(description="nats")
    mask_sample: bool = Field(description="never: what the gate rejects is worth the floor reward and teaches")
    failure_reason: str | None = Field(
        default=None, exclude_if=absent, description="only where the gate rejected the response"
    )
    reward_components: dict[str, float] = Field(description="shares of the heads and of the gate; they sum to reward")
