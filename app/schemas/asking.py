"""Questions to a person, their answers, and ratings of single responses."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from app.schemas.base import (
    Flag,
    JsonSchema,
    Name,
    Reply,
    Seed,
    Strict,
    Unicode,
    limit,
)
from app.schemas.messages import Completion, Flags, Prompt, Viewed
from elicitation.acquisition import Rule
from elicitation.anchors import Level
from elicitation.choice import Choice, Strength
from reward_bases.reading_rule import View

NOTHING: JsonSchema = {"type": "null"}


class AskRequest(Strict):
    """Nothing is required. By default iopt chooses, with a new random seed that is recorded."""

    rule: Rule = Field(default=Rule.IOPT, description="rule that chooses the question")
    seed: Seed | None = Field(default=None, description="random seed of the sides and of every draw")
    force: Flag = Field(default=False, description="ask although no further question is worth asking")


class Turn(Reply):
    role: Literal["system", "user", "assistant", "tool"]
    content: str


class QuestionReply(Reply):
    """Two responses to one prompt, on random sides."""

    question_id: str
    prompt: str | list[Turn]
    left: str
    right: str
    number: int = Field(description="number of this question, from 1")
    expected_total: int = Field(description="expected number of questions in all")
    expected_gain: float = Field(description="expected information from the answer, in `unit`")
    unit: str

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "question_id": "q_5f0c1d9a2b7e4c61",
                "prompt": "How do I keep basil alive indoors?",
                "left": "Give it six hours of light and water it when the top of the soil is dry.",
                "right": "Basil is lovely to have around! Let me walk you through everything it needs …",
                "number": 4,
                "expected_total": 10,
                "expected_gain": 0.83,
                "unit": "probability², summed over served pairs",
            }
        }
    )


class AnswerRequest(Strict):
    """`both_poor`, `skip` and `note` are kept and never move the profile."""

    question_id: Name
    choice: Choice
    strength: Strength | None = Field(default=None, description="how much better the chosen side is")
    note: Unicode | None = Field(
        default=None,
        description="how a response should change; shown back and exported, never scored",
        json_schema_extra=limit("max_note_chars"),
    )

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"question_id": "q_5f0c1d9a2b7e4c61", "choice": "left", "strength": "clear"},
            "anyOf": [{"properties": {"strength": NOTHING}}, {"properties": {"choice": {"enum": ["left", "right"]}}}],
        }
    )


class Progress(Reply):
    """A person's progress after an entry of the answer log."""

    profile_version: str
    answered: int
    expected_total: int
    done: bool = Field(description="no further question is worth asking")


class AnswerReply(Progress):
    answer_id: str


class UndoReply(Progress):
    answer_id: str = Field(description="the answer taken back")
    question_id: str = Field(description="its question, which is open again")


def _only(*names: str) -> JsonSchema:
    """The JSON schema of a rating that names its response by these fields alone."""
    others = {"prompt", "response", "question_id", "side"} - set(names)
    given = {name: {"not": NOTHING} for name in names}
    return {"properties": given | dict.fromkeys(sorted(others), NOTHING), "required": list(names)}


class AnchorRequest(Strict):
    """A rating of one response: a prompt with its response, or one side of a question that was asked."""

    level: Level
    prompt: Prompt | None = None
    response: Completion | None = None
    view: Viewed = View.ANSWER
    question_id: Name | None = None
    side: Literal["left", "right"] | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"question_id": "q_5f0c1d9a2b7e4c61", "side": "left", "level": "acceptable"},
            "oneOf": [_only("prompt", "response"), _only("question_id", "side")],
        }
    )

    @model_validator(mode="after")
    def one_response_is_named(self) -> Self:
        given = [value is not None for value in (self.prompt, self.response, self.question_id, self.side)]
        if given not in ([True, True, False, False], [False, False, True, True]):
            raise ValueError("name one response: prompt and response, or question_id and side")
        return self


class AnchorReply(Reply):
    """Estimates from the person's ratings, in nats; null while the ratings are too few."""

    anchor_id: str
    ratings: int = Field(description="number of rated responses")
    aleatoric: float | None = Field(description="standard deviation of the noise in the person's ratings")
    acceptable: float | None = Field(description="reward above which a response is rated acceptable")
    excellent: float | None = Field(description="reward above which a response is rated excellent")
    flags: Flags = None
