"""Paths that dialects share: which of them a body is in, by a field that only one of them has."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from app.http.dialects.rerank import RerankRequest
from app.http.dialects.sglang import TextRequest
from app.http.dialects.tei import TextsRequest
from app.http.dialects.vllm import ClassifyRequest, PairRequest
from app.http.problems import SHAPE
from app.schemas.scoring import ScoreRequest

FIRST, SECOND = Tag(f"{SHAPE}1"), Tag(f"{SHAPE}2")


def second_if(*fields: str) -> Discriminator:
    """The second of two bodies where one of ``fields`` is sent, else the first, which then says what is missing."""

    def tag(body: Any) -> str:
        return SECOND.tag if isinstance(body, dict) and not body.keys().isdisjoint(fields) else FIRST.tag

    return Discriminator(tag)


ScoreBody = Annotated[
    Annotated[ScoreRequest, FIRST] | Annotated[PairRequest, SECOND],
    second_if("queries", "documents", "text_1", "text_2", "data_1", "data_2"),
]
ClassifyBody = Annotated[Annotated[ClassifyRequest, FIRST] | Annotated[TextRequest, SECOND], second_if("text")]
RerankBody = Annotated[Annotated[RerankRequest, FIRST] | Annotated[TextsRequest, SECOND], second_if("texts")]
