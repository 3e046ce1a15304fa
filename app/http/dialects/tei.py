"""text-embeddings-inference: ``/rerank`` with ``texts`` and ``/predict`` with pairs."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field, WithJsonSchema

from app.http.dialects.foreign import RENDERED, ROWS, ForeignRequest, Row, Scored, listed
from app.http.dialects.templates import conversation, split
from app.schemas.base import SAID, Flag, JsonSchema, Many, Positive, Reply, Said, Unicode, Words, absent, limit
from elicitation.errors import InvalidInput

RAW = "true: nats; else their increasing map to 0–1"


class TextsRequest(ForeignRequest):
    query: Said
    texts: Many[Words] = Field(min_length=1, json_schema_extra=ROWS)
    raw_scores: Flag = Field(default=False, description=RAW)
    return_text: Flag = False
    top_n: Positive | None = Field(default=None, description="litellm sends it")

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"query": "Basil?", "texts": ["Give it light.", "Water it."], "raw_scores": True, "user": "ada"}
        }
    )

    def rows(self, template: str | None) -> list[Row]:
        prompt = conversation(self.query, template) if template else self.query
        return [Row(prompt, text) for text in self.texts]

    def reply(self, scored: Scored) -> "list[Rank]":
        numbers, texts = scored.numbers(self.raw_scores), self.texts if self.return_text else [None] * len(self.texts)
        return [Rank(index=row, score=numbers[row], text=texts[row]) for row in scored.best_first(self.top_n)]


class Rank(Reply):
    index: int
    score: float
    text: str | None = Field(default=None, exclude_if=absent, description="only where return_text asks for it")


TEXT: JsonSchema = {"type": "string", "minLength": 1, **RENDERED}
ALONE: JsonSchema = {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 1}
RESPONSE: JsonSchema = {"type": "string", **limit("max_text_chars")}
PROMPT: JsonSchema = RESPONSE | SAID
PAIR: JsonSchema = {
    "type": "array",
    "prefixItems": [PROMPT, RESPONSE],
    "minItems": 2,
    "maxItems": 2,
    "items": {"type": "string"},
}
SEVERAL: JsonSchema = {"type": "array", "items": {"anyOf": [TEXT, ALONE, PAIR]}, "contains": {"type": "array"}, **ROWS}
INPUTS: JsonSchema = {"anyOf": [TEXT, ALONE, PAIR, SEVERAL]}
"""Where no text is in a list of its own, one is rendered and two are a pair."""


class PredictRequest(ForeignRequest):
    """A pair [prompt, response], or a list of pairs; one string needs a chat template. Two strings are a pair."""

    inputs: Annotated[Unicode | Many[Unicode | Many[Unicode]], Field(min_length=1), WithJsonSchema(INPUTS)]
    raw_scores: Flag = Field(default=False, description=RAW)

    model_config = ConfigDict(
        json_schema_extra={"example": {"inputs": [["Basil?", "Give it light."]], "raw_scores": True, "user": "ada"}}
    )

    def rows(self, template: str | None) -> list[Row]:
        return [_row(listed(one), template) for one in (self.inputs if self._many else [self.inputs])]  # type: ignore[arg-type]

    def reply(self, scored: Scored) -> "list[Prediction] | list[list[Prediction]]":
        predictions = [[Prediction(score=number)] for number in scored.numbers(self.raw_scores)]
        return predictions if self._many else predictions[0]

    @property
    def _many(self) -> bool:
        return any(isinstance(one, list) for one in self.inputs)


class Prediction(Reply):
    score: float
    label: str = "reward"


def _row(texts: Sequence[str], template: str | None) -> Row:
    if len(texts) == 1:
        return Row(*split(texts[0], template))
    if len(texts) != 2:
        raise InvalidInput(f"{len(texts)} texts in one input; send a pair [prompt, response], or a list of pairs")
    prompt, response = texts
    return Row(conversation(prompt, template) if template else prompt, response)
