"""text-embeddings-inference: ``/rerank`` with ``texts`` and ``/predict`` with pairs."""

from collections.abc import Sequence

from pydantic import ConfigDict, Field

from app.http.dialects.foreign import ForeignRequest, Row, Scored, absent, listed
from app.http.dialects.templates import conversation, split
from app.schemas.base import Many, Reply, Unicode
from elicitation.errors import InvalidInput

RAW = "true: nats; else their increasing map to 0–1"


class TextsRequest(ForeignRequest):
    query: Unicode
    texts: Many[Unicode] = Field(min_length=1)
    raw_scores: bool = Field(default=False, description=RAW)
    return_text: bool = False
    top_n: int | None = Field(default=None, ge=1, description="litellm sends it")

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


class PredictRequest(ForeignRequest):
    """A pair [prompt, response], or a list of pairs; one string needs a chat template. Two strings are a pair."""

    inputs: Unicode | Many[Unicode | Many[Unicode]] = Field(min_length=1)
    raw_scores: bool = Field(default=False, description=RAW)

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
