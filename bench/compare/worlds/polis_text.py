"""``polis-text``: the conversations of ``polis``, tested on statements that nobody voted on in training."""

from pathlib import Path

from bench.compare.world import World
from bench.compare.worlds import polis
from bench.compare.worlds.text import Encode, encode


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """One world per conversation; raises InvalidInput where there is no data."""
    return tuple(world for world in polis.both(seed, quick, data, encode) if not world.by_heart)
