"""Rerankers of Cohere's kind, which Jina, vLLM, Infinity, litellm, LangChain and LlamaIndex speak too.

The query is the prompt and the documents are candidate responses: best-of-n with a client that people have. Results
hold no document: some clients want a string there, some an object, and all accept none.
"""

import secrets

from pydantic import BaseModel, ConfigDict, Field

from app.http.dialects.foreign import ROWS, ForeignReply, ForeignRequest, Row, Scored, Usage
from app.http.dialects.templates import conversation
from app.schemas.base import Flag, Many, Positive, Reply, Said, Words


class Document(BaseModel):
    """A document as an object; its other fields say nothing about the response."""

    text: Words


class RerankRequest(ForeignRequest):
    query: Said
    documents: Many[Words | Document] = Field(min_length=1, json_schema_extra=ROWS)
    top_n: Positive | None = Field(default=None)
    use_activation: Flag | None = Field(default=None, description="false: relevance in nats; else in 0–1")

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"model": "keel/ada", "query": "Basil?", "documents": ["Give it light.", "Water it."]}
        }
    )

    def rows(self, template: str | None) -> list[Row]:
        prompt = conversation(self.query, template) if template else self.query
        texts = [document if isinstance(document, str) else document.text for document in self.documents]
        return [Row(prompt, text) for text in texts]

    def reply(self, scored: Scored) -> "Reranked":
        numbers = scored.numbers(self.use_activation is False)
        results = [Relevance(index=row, relevance_score=numbers[row]) for row in scored.best_first(self.top_n)]
        return Reranked(id=f"rerank-{secrets.token_hex(16)}", model=self.model or "keel", results=results)


class Relevance(Reply):
    index: int
    relevance_score: float


class Reranked(ForeignReply):
    id: str
    model: str
    results: list[Relevance] = Field(description="best first")
    usage: Usage = Usage()
