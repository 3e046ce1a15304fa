"""Kind ``encoder``: what the vectors of a sentence encoder say of a response.

    relevance     cosine of the response's vector and the conversation's
    embedding_i   the response's vector on principal axis i

The version comes from the SHA-256 of the encoder's weights and from the axes. How texts become vectors is the business
of a ``Vectors``: the service has a queue with a cache (``app/sources/encoding.py``), training has a cache on disk
(``reward_bases/train/features/vectors.py``), and ``Reading`` takes any function.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from reward_bases.sources.source import Columns, Pair
from reward_bases.text import Conversation

CONVERSATION_CHARACTERS = 4000


class Vectors(Protocol):
    """Unit vectors of texts."""

    async def of(self, texts: Sequence[str]) -> Tensor:
        """(n, d) float32 of n texts that all differ, in their order."""
        ...


@dataclass(frozen=True)
class Reading:
    """Vectors from a function that returns at once or blocks; for work without a service around it."""

    read: Callable[[Sequence[str]], Tensor]

    async def of(self, texts: Sequence[str]) -> Tensor:
        return self.read(texts)


def conversation_text(conversation: Conversation) -> str:
    """The string the encoder reads for a conversation."""
    return conversation.window(CONVERSATION_CHARACTERS)


def embedding_names(components: int) -> tuple[str, ...]:
    """Names of the columns when ``components`` principal components are kept."""
    return ("relevance", *(f"embedding_{i}" for i in range(components)))


@dataclass(frozen=True, eq=False)
class EncoderSource:
    """Columns of an encoder with the weights ``sha256``, on the principal axes ``components`` (p, d)."""

    vectors: Vectors
    sha256: str
    components: Tensor
    kind: str = "encoder"

    @property
    def names(self) -> tuple[str, ...]:
        return embedding_names(len(self.components))

    @property
    def version(self) -> str:
        axes = self.components.double().contiguous()
        said = hashlib.sha256(f"{self.sha256} {CONVERSATION_CHARACTERS} {tuple(axes.shape)}".encode())
        said.update(axes.numpy().tobytes())
        return said.hexdigest()[:12]

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """(n, 1 + p) float64; each text is asked for once."""
        if not pairs:
            return Columns(torch.zeros(0, len(self.names), dtype=torch.float64))
        asked, said = [conversation_text(pair.conversation) for pair in pairs], [pair.response for pair in pairs]
        place = {text: i for i, text in enumerate(dict.fromkeys([*asked, *said]))}
        vectors = await self.vectors.of(list(place))
        return Columns(await asyncio.to_thread(self._values, vectors, _places(asked, place), _places(said, place)))

    def _values(self, vectors: Tensor, asked: Tensor, said: Tensor) -> Tensor:
        about, response = vectors[asked].double(), vectors[said].double()
        relevance = (about * response).sum(-1, keepdim=True)
        return torch.cat([relevance, response @ self.components.double().T], dim=1)


def _places(texts: Sequence[str], place: dict[str, int]) -> Tensor:
    return torch.tensor([place[text] for text in texts])
