"""NeMo-Gym's ``/verify``: a prompt and what a model made of it, in OpenAI's Responses format, echoed with a reward."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from app.http.dialects.foreign import BY_USER, ROWS, ForeignMessage, ForeignRequest, Row, Scored
from app.schemas.base import SAID, JsonSchema, Many, Messages, Reply, Unicode, UserId, Words, absent, limit
from app.schemas.blocks import Foreign, Function, ResultPart
from app.schemas.messages import SPEAKING, TEXT, Message, Text, object_with, speaking
from elicitation.errors import PairsFailed

ASKED = limit("max_messages", **BY_USER)
FOUND = object_with(type={"const": "function_call_output"}, output=speaking(TEXT))
SAID_BY_INPUT: JsonSchema = {
    "anyOf": [{"type": "string", **SAID}, {"type": "array", "contains": {"anyOf": [SPEAKING, FOUND]}}]
}
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


class Call(Function):
    type: Literal["function_call"]

    @property
    def message(self) -> Message:
        return Message(role="assistant", function_call=self)


class CallOutput(Foreign):
    type: Literal["function_call_output"]
    output: Words | Annotated[Many[ResultPart], Field(json_schema_extra=limit("max_messages"))]

    @property
    def message(self) -> Message:
        return Message(role="tool", content=self.output if isinstance(self.output, str) else [*self.output])


class Reasoning(Foreign):
    """Not read."""

    type: Literal["reasoning"]


Item = ForeignMessage | Call | CallOutput | Reasoning


class CreateParams(Foreign):
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"properties": {"input": SAID_BY_INPUT}}, INSTRUCTED]})

    instructions: Words | None = None
    input: Words | Annotated[Messages[Item], Field(min_length=1, json_schema_extra=ASKED)]
    user: UserId | None = None

    @property
    def asked(self) -> Text:
        system = [Message(role="system", content=self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*system, Message(role="user", content=self.input)] if system else self.input
        items = [item for item in self.input if not isinstance(item, Reasoning)]
        return [*system, *(item if isinstance(item, Message) else item.message for item in items)]


class OutputText(Foreign):
    type: str = "output_text"
    text: Unicode = ""


class OutputItem(Foreign):
    """Only messages hold text; reasoning and calls of tools are not scored."""

    type: str = "message"
    content: Annotated[Many[OutputText], Field(json_schema_extra=ROWS)] | None = None


class Output(Foreign):
    output: Messages[OutputItem] = Field(json_schema_extra=ROWS)


class VerifyRequest(ForeignRequest):
    """The dataset's row may name the person as ``user_id``."""

    asks = frozenset({"detail", "components"})
    _sent: dict[str, Any] = PrivateAttr(default_factory=dict)

    responses_create_params: CreateParams
    response: Output

    model_config = ConfigDict(
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

    @model_validator(mode="wrap")
    @classmethod
    def _kept_to_be_echoed(cls, body: object, read: ModelWrapValidatorHandler[Self]) -> Self:
        request = read(echoable(body))
        request._sent = body if isinstance(body, dict) else {}
        return request

    def rows(self, template: str | None) -> list[Row]:
        messages = [item for item in self.response.output if item.type == "message"]
        text = "".join(part.text for item in messages for part in item.content or ())
        return [Row(self.responses_create_params.asked, text)]

    def people(self, rows: int, *elsewhere: str | None) -> list[str | None]:
        return super().people(rows, self.responses_create_params.user, *elsewhere)

    def reply(self, scored: Scored) -> "Verified":
        reward, detail = scored.rewards[0], scored.details[0]
        components = {name: shares[0] for name, shares in scored.components.items()}
        own = {"reward": reward, "mask_sample": False, "reward_components": components}
        reasons = {} if detail.gate.passed else {"failure_reason": f"gate: {', '.join(detail.gate.reasons)}"}
        flags = {"flags": scored.flags} if scored.flags else {}
        return Verified.model_validate(self._sent | own | reasons | flags)

    def unjudged(self, error: PairsFailed) -> "Verified":
        """The reply where a source cannot judge the row: it is masked, so that its reward counts nowhere."""
        reasons = "; ".join(dict.fromkeys(f"{source}: {reason}" for source, reason in error.failed.values()))
        own = {"reward": 0.0, "mask_sample": True, "reward_components": {}, "failure_reason": f"source {reasons}"}
        return Verified.model_validate(self._sent | own)


class Verified(Reply):
    """The request and what it is worth."""

    model_config = ConfigDict(extra="allow")

    reward: float = Field(description="nats")
    mask_sample: bool = Field(
        description="where a source cannot judge the row; what the gate rejects is worth the floor reward and teaches"
    )
    failure_reason: str | None = Field(
        default=None, exclude_if=absent, description="where the gate rejected the response, or a source cannot judge it"
    )
    reward_components: dict[str, float] = Field(description="shares of the heads and of the gate; they sum to reward")
