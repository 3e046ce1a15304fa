"""Features of items, built once: the file has the name of what it was made from, so that the same data find it again.

The file is (M, F) float32 and takes its name when it is whole.
"""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from reward_bases.sources.embedding import Reading, conversation_text
from reward_bases.sources.features import FeatureSpace, feature_names, text_and_encoder
from reward_bases.sources.phi import columns_of
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation, digest
from reward_bases.train.data.table import FeatureTable
from reward_bases.train.features.vectors import Progress, VectorCache, silent

BLOCK = 4096


def feature_table(
    conversations: Sequence[Conversation],
    responses: Sequence[str],
    items: Tensor,
    vectors: VectorCache,
    space: FeatureSpace,
    folder: Path,
    encoding: Progress = silent,
    building: Progress = silent,
) -> FeatureTable:
    """Features, clipped to ``space``, of ``items`` (M, 2) long [conversation, response], built unless they are there.

    Unknown texts are encoded first, which ``encoding`` counts; ``building`` counts items.
    """
    path = folder / f"features-{_content(conversations, responses, items, vectors, space)[:32]}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        vectors.learn([*map(conversation_text, conversations), *responses], encoding)
        unfinished = folder / f"{path.name}.{os.getpid()}"
        try:
            _build(unfinished, conversations, responses, items, vectors, space, building)
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return FeatureTable.open(path)


def _build(
    path: Path,
    conversations: Sequence[Conversation],
    responses: Sequence[str],
    items: Tensor,
    vectors: VectorCache,
    space: FeatureSpace,
    progress: Progress,
) -> None:
    shape = (len(items), len(space.lowest))
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, len(items), BLOCK):
        block = items[start : start + BLOCK].tolist()
        pairs = [Pair(conversations[asked], responses[said]) for asked, said in block]
        table[start : start + len(block)] = clipped_features(pairs, vectors, space).float().numpy()
        progress(start + len(block), len(items))
    table.flush()


def clipped_features(pairs: Sequence[Pair], vectors: VectorCache, space: FeatureSpace) -> Tensor:
    """Features (n, F) float64 of n pairs, clipped to ``space``."""
    sources = text_and_encoder(Reading(vectors.of), vectors.key, space.components)
    return asyncio.run(columns_of(pairs, sources)).clamp(space.lowest, space.highest)


def _content(
    conversations: Sequence[Conversation],
    responses: Sequence[str],
    items: Tensor,
    vectors: VectorCache,
    space: FeatureSpace,
) -> str:
    """SHA-256 of everything the features follow from."""
    said = hashlib.sha256("\n".join([vectors.key, *feature_names(len(space.components))]).encode())
    for tensor in (space.components, space.lowest, space.highest, items):
        said.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
        said.update(tensor.contiguous().numpy().tobytes())
    for text in (*(one.digest for one in conversations), *map(digest, responses)):
        said.update(text.encode())
    return said.hexdigest()
