"""SGLang's ``/classify`` for reward models: rewards in nats as embeddings of one number."""

import secrets

from pydantic import ConfigDict, Field

from app.http.dialects.foreign import ForeignRequest, Rendered, RenderedRows, Row, Scored, listed
from app.http.dialects.templates import split
from app.schemas.base import Reply


class TextRequest(ForeignRequest):
    """One text gets one object, a list of texts a list."""

    text: Rendered | RenderedRows = Field(description="rendered conversations that end in the response")

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "text": ["<|im_start|>user\nBasil?<|im_end|>\n<|im_start|>assistant\nGive it light.<|im_end|>\n"],
                "user_id": "ada",
            }
        }
    )

    def rows(self, template: str | None) -> list[Row]:
        return [Row(*split(text, template)) for text in listed(self.text)]

    def reply(self, scored: Scored) -> "list[Embedded] | Embedded":
        embedded = [Embedded(embedding=[r], meta_info=Meta(id=secrets.token_hex(16))) for r in scored.rewards]
        return embedded[0] if isinstance(self.text, str) else embedded


class Meta(Reply):
    id: str
    prompt_tokens: int = 0


class Embedded(Reply):
    embedding: list[float] = Field(description="one number: the reward in nats")
    meta_info: Meta
