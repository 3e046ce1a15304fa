"""vLLM's ``/classify`` and ``/score``; verl's built-in reward client sends the first with ``use_activation: false``."""

import secrets
import time
from typing import Annotated

from pydantic import AliasChoices, ConfigDict, Field

from app.http.dialects.foreign import ROWS, ForeignReply, ForeignRequest, Row, Scored, Usage, listed
from app.http.dialects.inputs import ONE_OF_BOTH, InputRequest
from app.http.dialects.templates import conversation
from app.schemas.base import Flag, Many, Reply, Said, Words
from elicitation.errors import InvalidInput

SOME = ROWS | {"minItems": 1}
ACTIVATION = "false: nats; else their increasing map to 0–1"
EXAMPLE = "<|im_start|>user\nBasil?<|im_end|>\n<|im_start|>assistant\nGive it light.<|im_end|>\n"


class ClassifyRequest(InputRequest):
    use_activation: Flag | None = Field(default=None, description=ACTIVATION)

    model_config = ConfigDict(
        json_schema_extra=ONE_OF_BOTH | {"example": {"model": "keel/ada", "input": EXAMPLE, "use_activation": False}}
    )

    def reply(self, scored: Scored) -> "Classified":
        numbers = scored.numbers(self.use_activation is False)
        data = [Classification(index=row, probs=[number]) for row, number in enumerate(numbers)]
        name = f"classify-{secrets.token_hex(16)}"
        return Classified(id=name, created=int(time.time()), model=self.model or "keel", data=data)


class Classification(Reply):
    index: int
    label: str = "reward"
    probs: list[float] = Field(description="one number: the reward")
    num_classes: int = 1


class Classified(ForeignReply):
    id: str
    object: str = "list"
    created: int
    model: str
    data: list[Classification]
    usage: Usage = Usage()


class PairRequest(ForeignRequest):
    """Queries are prompts and documents are responses: one to many, or as many as there are."""

    queries: Said | Annotated[Many[Said], Field(json_schema_extra=SOME)] = Field(
        validation_alias=AliasChoices("queries", "text_1", "data_1")
    )
    documents: Words | Annotated[Many[Words], Field(json_schema_extra=SOME)] = Field(
        validation_alias=AliasChoices("documents", "text_2", "data_2")
    )
    use_activation: Flag | None = Field(default=None, description=ACTIVATION)

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"model": "keel/ada", "queries": "Basil?", "documents": ["Give it light.", "Water it."]}
        }
    )

    def rows(self, template: str | None) -> list[Row]:
        prompts, responses = listed(self.queries), listed(self.documents)
        if len(prompts) not in (1, len(responses)) or not responses:
            raise InvalidInput(f"{len(prompts)} queries for {len(responses)} documents; send one, or one per document")
        asked = [conversation(prompt, template) if template else prompt for prompt in prompts]
        pairs = zip(asked * (len(responses) // len(asked)), responses, strict=True)
        return [Row(prompt, response) for prompt, response in pairs]

    def reply(self, scored: Scored) -> "Paired":
        numbers = scored.numbers(self.use_activation is False)
        data = [PairScore(index=row, score=number) for row, number in enumerate(numbers)]
        return Paired(
            id=f"score-{secrets.token_hex(16)}", created=int(time.time()), model=self.model or "keel", data=data
        )


class PairScore(Reply):
    index: int
    object: str = "score"
    score: float


class Paired(ForeignReply):
    id: str
    object: str = "list"
    created: int
    model: str
    data: list[PairScore]
    usage: Usage = Usage()
