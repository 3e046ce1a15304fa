"""Responses to rows of base rewards φ, each computed once and shared by all people.

    text → vector (cached by text digest) → φ (K,) and gate (cached by conversation and response digest)

A response that the gate rejects is not encoded: it gets the floor reward whatever its φ. φ is float64 in spreads.
"""

import asyncio
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from app.cache import LruCache
from app.errors import Conflict, NotFinite
from app.sources.encoding import MAX_WAITING, Encoder, EncodingQueue
from reward_bases.artifact import Artifact
from reward_bases.sources.features import conversation_text
from reward_bases.text import Conversation, digest
from safeguards.domain import Domain
from safeguards.gate import PASSED, GateResult, check

ItemKey = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Item:
    """One response to one conversation: ``phi`` (K,), zero where the gate rejected it.

    ``refits`` (S, K) is φ by each of the basis's ensemble of heads.
    """

    phi: Tensor
    refits: Tensor
    gate: GateResult
    in_domain: bool


class Engine:
    """Scores' text half; ``artifact`` names the basis that its rows belong to."""

    def __init__(
        self,
        artifact: Artifact,
        load_encoder: Callable[[], Encoder],
        cache_vectors: int,
        cache_items: int,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.artifact = artifact
        self.encoding = EncodingQueue(load_encoder, cache_vectors, max_waiting)
        self.items: LruCache[ItemKey, Item] = LruCache(cache_items)
        self._domain = Domain.of(artifact.reference)

    def with_artifact(self, artifact: Artifact) -> "Engine":
        """The same encoder under another artifact; Conflict when that one was learned on other weights."""
        if artifact.basis.encoder_sha256 != self.artifact.basis.encoder_sha256:
            raise Conflict(
                f"basis {artifact.basis.version} was learned on another encoder, {artifact.basis.encoder_name}; "
                "start a service with its folder to score under it"
            )
        other = copy(self)
        other.artifact, other._domain = artifact, Domain.of(artifact.reference)
        other.items = LruCache(self.items.size)
        return other

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

    async def items_of(self, conversations: Sequence[Conversation], responses: Sequence[str]) -> list[Item]:
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

    async def ungated(self, pairs: Sequence[tuple[Conversation, str]]) -> list[Item]:
        """The items of responses that pass whatever the gate says; not cached, since tenants share the cache."""
        return await self._rated(pairs, [PASSED] * len(pairs))

    async def _items(self, pairs: Sequence[tuple[Conversation, str]]) -> list[Item]:
        return await self._rated(pairs, await asyncio.to_thread(lambda: [check(response) for _, response in pairs]))

    async def _rated(self, pairs: Sequence[tuple[Conversation, str]], gates: Sequence[GateResult]) -> list[Item]:
        passed = [pair for pair, gate in zip(pairs, gates, strict=True) if gate.passed]
        phi = iter(await self._phi(passed)) if passed else iter(())
        basis = self.artifact.basis
        rejected = torch.zeros(1 + len(basis.ensemble), basis.k, dtype=torch.float64)
        rows = [next(phi) if gate.passed else rejected for gate in gates]
        inside = self._domain.holds(torch.stack([row[0] for row in rows]))
        return [Item(row[0], row[1:], gate, known) for row, gate, known in zip(rows, gates, inside, strict=True)]

    async def _phi(self, pairs: Sequence[tuple[Conversation, str]]) -> list[Tensor]:
        """For each pair φ, then φ by each of the ensemble's heads: (1 + S, K)."""
        basis = self.artifact.basis
        conversations, responses = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        contexts = [conversation_text(conversation) for conversation in conversations]
        texts = {digest(text): text for text in [*contexts, *responses]}
        vectors = await self.encoding.vectors(texts)

        def phi() -> list[Tensor]:
            about, said = ([vectors[digest(text)] for text in part] for part in (contexts, responses))
            clipped = basis.clipped(conversations, responses, torch.stack(about), torch.stack(said))
            rows = torch.cat([basis.of_features(clipped)[:, None], basis.refits(clipped)], dim=1)
            if not bool(rows.isfinite().all()):
                raise NotFinite("the encoder or a head gave a number that is not finite; no reward can be made of it")
            return [row.clone() for row in rows]

        return await asyncio.to_thread(phi)
