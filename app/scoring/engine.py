"""Responses to rows of base rewards φ, each computed once and shared by all people.

    response → what the basis's reading rule reads of it → gate
    pair of conversation and reading → columns of the sources → φ (K,) and gate, together an item

Items are cached by the digests of conversation and reading, so that responses of which the same is read share one. A
response that the gate rejects is not read by any source: it gets the floor reward whatever its φ. φ is float64 in
spreads.
"""

import itertools
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from app.cache import LruCache
from app.caller import CALLER
from app.errors import ClientGone, Conflict, NotFinite, NotReady, Temporary
from app.observing.measured import stage
from app.sources.columns import CachedSource, ColumnCache
from app.sources.counted import CountedSource
from app.sources.encoding import Encoder, EncodingQueue
from app.sources.pinned import PinnedSources, UnaskedSource, is_slow
from app.sources.turns import Limits
from app.storage.judgments import Judgments
from reward_bases.artifact import Artifact
from reward_bases.reading import each
from reward_bases.reading_rule import ReadingRule
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.phi import Phi, phi_of
from reward_bases.sources.source import Pair, Source
from reward_bases.text import Conversation, digest
from safeguards.domain import Domain
from safeguards.gate import PASSED, GateResult, check

TRIED = Conversation.of("Are the sources of base rewards well?")
LARGE_CHARACTERS = 50_000
OWN = 2
"""Sources before those that the card names: text and encoder."""
ItemKey = tuple[str, str, str]
"""The caller's name in the caches, digests of conversation and of what is read of the response."""


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
    """Scores' text half; ``artifact`` names the basis that its rows belong to.

    Three caches lie on top of each other. ``items`` holds what scoring needs of a pair, so that a known pair costs one
    look-up: no gate, no product with the weights, no distance, and the same object, by which rewards are remembered.
    ``columns`` holds the text's columns, which cost milliseconds of computation, and serves all that makes an item
    again: another basis and overturned rejections. Its rows are a third of an item's size. The encoder's vectors are
    kept by text in ``encoding``; its columns follow from them in microseconds and are not kept.
    """

    def __init__(
        self,
        artifact: Artifact,
        load_encoder: Callable[[], Encoder],
        cache_vectors: int,
        cache_items: int,
        waiting: Limits | None = None,
        judgments: Judgments | None = None,
    ) -> None:
        self.artifact = artifact
        self.encoding = EncodingQueue(load_encoder, cache_vectors, waiting)
        self.columns = ColumnCache(cache_items)
        self.items: LruCache[ItemKey, Item] = LruCache(cache_items)
        self._pinned = PinnedSources(self.columns, judgments)
        self._sources, self._domain = self._sources_of(artifact), Domain.of(artifact.reference)
        self._doubtful, self._tried = False, itertools.count()

    def _sources_of(self, artifact: Artifact) -> tuple[Source, ...]:
        """The artifact's sources, read through the caches."""
        basis = artifact.basis
        text, encoder = text_and_encoder(self.encoding, basis.encoder_sha256, basis.components)
        pinned = map(self._pinned.of, artifact.sources)
        return CachedSource(CountedSource(text), self.columns), CountedSource(encoder), *pinned

    def without_slow(self) -> "Engine":
        """The same, but slow sources are not asked: φ of the heads that weigh their columns means nothing.

        Without slow sources it is this engine itself.
        """
        if not any(map(is_slow, self.artifact.sources)):
            return self
        other = copy(self)
        named = zip(self.artifact.sources, self._sources[OWN:], strict=True)
        other._sources = (
            *self._sources[:OWN],
            *(UnaskedSource(source) if is_slow(entry) else source for entry, source in named),
        )
        other.items = LruCache(self.items.size)
        return other

    def open_sources(self) -> None:
        """Open the sources that the card names; raises ArtifactMismatch where one is another than the card pins."""
        self._pinned.open()

    def with_artifact(self, artifact: Artifact) -> "Engine":
        """The same encoder under another artifact; Conflict when that one was learned on other weights."""
        if not artifact.basis.encoder_sha256 or artifact.basis.encoder_sha256 != self.artifact.basis.encoder_sha256:
            raise Conflict(
                f"basis {artifact.basis.version} was learned on another encoder, {artifact.basis.encoder_name}; "
                "start a service with its folder to score under it"
            )
        other = copy(self)
        other.artifact = artifact
        other._sources, other._domain = self._sources_of(artifact), Domain.of(artifact.reference)
        other.items = LruCache(self.items.size)
        return other

    @property
    def reading(self) -> ReadingRule:
        """What of a response is read."""
        return self.artifact.basis.reading

    @property
    def ready(self) -> bool:
        return self.encoding.ready

    @property
    def caches(self) -> dict[str, LruCache[Any, Any]]:
        """Each cache by its name."""
        return {"vectors": self.encoding.cache, "columns": self.columns.rows, "items": self.items}

    async def check(self) -> None:
        """Raises NotReady unless texts can be read.

        Once a text could not be read, a new one is tried: a fault of one text is no fault of the service.
        """
        self.encoding.require_loaded()
        if not self._doubtful:
            return
        try:
            await self.phi_of([Pair(TRIED, f"This is try {next(self._tried)}.")])
        except Exception as error:
            raise NotReady(
                f"the sources of base rewards fail ({type(error).__name__}); the service's log says where: mend the "
                "source, or restart the service"
            ) from error
        self._doubtful = False

    async def start(self) -> None:
        await self.encoding.start()

    async def close(self) -> None:
        await self.encoding.close()
        await self._pinned.close()

    async def read(self, responses: Sequence[str]) -> list[str]:
        """What the basis reads of each response; much text is read on another thread."""
        if self.reading is ReadingRule.SHOWN and sum(map(len, responses)) > LARGE_CHARACTERS:
            return await each(self.reading.of_text, responses)
        return [self.reading.of_text(response) for response in responses]

    async def items_of(self, conversations: Sequence[Conversation], responses: Sequence[str]) -> list[Item]:
        """The items of parallel conversations and responses, in their order."""
        responses = await self.read(responses)
        keys = self._keys(conversations, responses)
        known = {key: item for key in dict.fromkeys(keys) if (item := self.items.get(key)) is not None}
        places = {key: place for place, key in enumerate(keys) if key not in known}
        if places:
            missing = [Pair(conversations[place], responses[place]) for place in places.values()]
            for key, fresh in zip(places, await self._items(missing), strict=True):
                self.items.put(key, fresh)
                known[key] = fresh
        return [known[key] for key in keys]

    async def at_hand(self, conversations: Sequence[Conversation], responses: Sequence[str]) -> list[Item | None]:
        """The items that nothing has to be read for, None in place of the others."""
        return [self.items.get(key) for key in self._keys(conversations, await self.read(responses))]

    async def ungated(self, pairs: Sequence[Pair]) -> list[Item]:
        """The items of responses that pass whatever the gate says; not cached, since tenants share the cache."""
        return await self._rated(pairs, [PASSED] * len(pairs))

    async def phi_of(self, pairs: Sequence[Pair]) -> Phi:
        """φ of pairs, whatever the gate says; raises NotFinite."""
        try:
            found = await phi_of(pairs, self.artifact.basis, self._sources)
            if not bool(found.phi.isfinite().all() & found.refits.isfinite().all()):
                raise NotFinite("a source or a head gave a number that is not finite; no reward can be made of it")
        except (Temporary, ClientGone):
            raise
        except Exception:
            self._doubtful = True
            raise
        return found

    def _keys(self, conversations: Sequence[Conversation], read: Sequence[str]) -> list[ItemKey]:
        owner = CALLER.get().cache
        return [(owner, c.digest, digest(r)) for c, r in zip(conversations, read, strict=True)]

    async def _items(self, pairs: Sequence[Pair]) -> list[Item]:
        # Refused before any work for it: the texts most likely have no vectors yet.
        self.encoding.turns.admit(CALLER.get())
        with stage("gate"):
            gates = await each(check, [pair.response for pair in pairs])
        return await self._rated(pairs, gates)

    async def _rated(self, pairs: Sequence[Pair], gates: Sequence[GateResult]) -> list[Item]:
        passed = [pair for pair, gate in zip(pairs, gates, strict=True) if gate.passed]
        phi = iter(_rows(await self.phi_of(passed)) if passed else ())
        basis = self.artifact.basis
        rejected = torch.zeros(1 + len(basis.ensemble), basis.k, dtype=torch.float64)
        rows = [next(phi) if gate.passed else rejected for gate in gates]
        inside = self._domain.holds(torch.stack([row[0] for row in rows]))
        return [Item(row[0], row[1:], gate, known) for row, gate, known in zip(rows, gates, inside, strict=True)]


def _rows(found: Phi) -> list[Tensor]:
    """For each pair φ, then φ by each of the ensemble's heads: (1 + S, K), with memory of its own."""
    # A view would keep the whole batch alive as long as one of its rows is cached.
    return [row.clone() for row in torch.cat([found.phi[:, None], found.refits], dim=1)]
