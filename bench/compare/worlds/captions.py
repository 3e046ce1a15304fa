"""``captions``: people choose the better of two captions of a picture (caption_density, the question of preference).

The folder has a file preference (user, picture, response_a, response_b, choice). Nobody here sees the picture: it is
the prompt "Describe picture N". Divided as in ``pairs``.
"""

from functools import lru_cache
from pathlib import Path

from bench.compare.world import World
from bench.compare.worlds.pairs import compared
from bench.compare.worlds.public import folder_of, read_rows, require_columns, table
from bench.compare.worlds.text import Encode, encode
from reward_bases.train.data.reading import Data

FILE = "preference"
COLUMNS = ("user", "picture", "response_a", "response_b", "choice")


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """A world for each fold; raises InvalidInput if there is no data."""
    return compared("captions", read_from(data), seed, quick, encode)


def read_from(data: Path | None) -> Data:
    """All judgments of the folder, or of that in it; raises InvalidInput if there is no data."""
    return _judged(folder_of(data, "caption_density", (FILE,), "caption_density (MIT; captions of COCO pictures)"))


@lru_cache(maxsize=1)
def _judged(folder: Path) -> Data:
    rows = table(folder, FILE)
    require_columns(rows, COLUMNS, FILE)
    return read_rows(rows.assign(prompt="Describe picture " + rows["picture"]))
