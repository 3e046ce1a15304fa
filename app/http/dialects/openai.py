"""OpenAI's ``/v1/embeddings``, with the reward in nats as an embedding of one number, and its ``/v1/models``."""

import base64
import struct
import time
from typing import Literal

from pydantic import ConfigDict, Field

from app.http.dialects.foreign import MODEL_PREFIX, ForeignReply, Scored, Usage
from app.http.dialects.inputs import ONE_OF_BOTH, InputRequest
from app.schemas.base import Reply


class EmbeddingsRequest(InputRequest):
    encoding_format: Literal["float", "base64"] | None = Field(default=None, description="base64: of a float32")

    model_config = ConfigDict(
        json_schema_extra=ONE_OF_BOTH
        | {
            "example": {
                "model": "keel",
                "input": ["<|im_start|>user\nBasil?<|im_end|>\n<|im_start|>assistant\nGive it light.<|im_end|>\n"],
                "user": "ada",
            }
        }
    )

    def reply(self, scored: Scored) -> "Embeddings":
        packed = self.encoding_format == "base64"
        data = [
            Embedding(index=row, embedding=_packed(reward) if packed else [reward])
            for row, reward in enumerate(scored.rewards)
        ]
        return Embeddings(model=self.model or "keel", data=data)


class Embedding(Reply):
    object: str = "embedding"
    index: int
    embedding: list[float] | str = Field(description="the reward in nats")


class Embeddings(ForeignReply):
    object: str = "list"
    model: str
    data: list[Embedding]
    usage: Usage = Usage()


class Model(Reply):
    id: str
    object: str = "model"
    created: int
    owned_by: str = "keel"


class Models(Reply):
    object: str = "list"
    data: list[Model]


_STARTED = int(time.time())
MODELS = Models(data=[Model(id=name, created=_STARTED) for name in ("keel", f"{MODEL_PREFIX}{{user_id}}")])
"""The aggregate, and the form of a person's name: who they are is told to nobody."""


def _packed(reward: float) -> str:
    return base64.b64encode(struct.pack("<f", reward)).decode()
