"""``llmfao``: people choose the better of two language models' answers to one of 13 prompts (D. Ustalov, LLMFAO).

The folder has judgments (user, pair_id, choice) and pairs (pair_id, prompt, response_a, response_b), a layout that
``keel train`` reads as it lies. Divided as in ``pairs``.
"""

from functools import lru_cache
from pathlib import Path

from bench.compare.world import World
from bench.compare.worlds.pairs import compared
from bench.compare.worlds.public import folder_of
from bench.compare.worlds.text import Encode, encode
from reward_bases.train.data.reading import Data, read

SOURCE = "LLMFAO (github.com/dustalov/llmfao)"


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """A world for each fold; raises InvalidInput if there is no data."""
    return compared("llmfao", read_from(data), seed, quick, encode)


def read_from(data: Path | None) -> Data:
    """All judgments of the folder, or of that in it; raises InvalidInput if there is no data."""
    return _judged(folder_of(data, "llmfao", ("pairs", "judgments"), SOURCE))


@lru_cache(maxsize=1)
def _judged(folder: Path) -> Data:
    return read(folder)
