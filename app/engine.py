"""Responses to rows of base rewards φ, each computed once and shared by all people.

    text → vector (cached by text digest) → φ (K,) and gate (cached by conversation and response digest)

A response that the gate rejects is not encoded: it gets the floor reward whatever its φ. φ is float64 in spreads.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.cache import LruCache
from app.encoding import Encoder, EncodingQueue
from reward_bases.artifact import Artifact
from reward_bases.features import conversation_text
from reward_bases.text import Conversation, digest
from safeguards.gate import GateResult, check

ItemKey = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Item:
    """One response to one conversation: ``phi`` (K,), zero where the gate rejected it."""

    phi: Tensor
    gate: GateResult
    in_domain: bool


@dataclass(frozen=True, eq=False)
class Domain:
    """Where the reference lies: φ is in the domain unless φᵀS⁻¹φ exceeds that of every reference response."""

    precision: Tensor
    farthest: float

    @classmethod
    def of(cls, reference: Tensor) -> "Domain":
        """From the reference rows (P, n, K)."""
        rows = reference.flatten(0, 1)
        precision = torch.linalg.pinv(rows.T @ rows / len(rows), hermitian=True)
        return cls(precision, float(((rows @ precision) * rows).sum(-1).max()))

    def holds(self, phi: Tensor) -> list[bool]:
        """For each row of ``phi`` (n, K)."""
        inside: list[bool] = (((phi @ self.precision) * phi).sum(-1) <= self.farthest).tolist()
        return inside


class Engine:
    """Scores' text half; ``artifact`` names the basis that its rows belong to."""

    def __init__(
        self, artifact: Artifact, load_encoder: Callable[[], Encoder], cache_vectors: int, cache_items: int
    ) -> None:
        self.artifact = artifact
        self.encoding = EncodingQueue(load_encoder, cache_vectors)
        self.items: LruCache[ItemKey, Item] = LruCache(cache_items)
        self._domain = Domain.of(artifact.reference)

    @property
    def ready(self) -> bool:
        return self.encoding.ready

    def cache_counts(self) -> list[tuple[str, int, int, int]]:
        """Name, hits, misses and size of each cache."""
        vectors, items = self.encoding.cache, self.items
        return [
            ("vectors", vectors.hits, vectors.misses, len(vectors)),
            ("items", items.hits, items.misses, len(items)),
        ]

    async def start(self) -> None:
        await self.encoding.start()

    async def close(self) -> None:
        await self.encoding.close()

    async def score(self, conversations: Sequence[Conversation], responses: Sequence[str]) -> list[Item]:
        """The items of parallel conversations and responses, in their order."""
        keys = [(c.digest, digest(r)) for c, r in zip(conversations, responses, strict=True)]
        known = {key: item for key in dict.fromkeys(keys) if (item := self.items.get(key)) is not None}
        places = {key: place for place, key in enumerate(keys) if key not in known}
        if places:
            missing = [(conversations[place], responses[place]) for place in places.values()]
            for key, fresh in zip(places, await self._items(missing), strict=True):
                self.items.put(key, fresh)
                known[key] = fresh
        return [known[key] for key in keys]

    async def _items(self, pairs: Sequence[tuple[Conversation, str]]) -> list[Item]:
        gates = await asyncio.to_thread(lambda: [check(response) for _, response in pairs])
        passed = [pair for pair, gate in zip(pairs, gates, strict=True) if gate.passed]
        phi = iter(await self._phi(passed)) if passed else iter(())
        rejected = torch.zeros(self.artifact.basis.k, dtype=torch.float64)
        rows = [next(phi) if gate.passed else rejected for gate in gates]
        inside = self._domain.holds(torch.stack(rows))
        return [Item(*parts) for parts in zip(rows, gates, inside, strict=True)]

    async def _phi(self, pairs: Sequence[tuple[Conversation, str]]) -> list[Tensor]:
        basis = self.artifact.basis
        conversations, responses = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        contexts = [conversation_text(conversation) for conversation in conversations]
        texts = {digest(text): text for text in [*contexts, *responses]}
        vectors = await self.encoding.vectors(texts)

        def phi() -> list[Tensor]:
            about, said = ([vectors[digest(text)] for text in part] for part in (contexts, responses))
            rows = basis.phi(conversations, responses, torch.stack(about), torch.stack(said))
            return [row.clone() for row in rows]

        return await asyncio.to_thread(phi)
