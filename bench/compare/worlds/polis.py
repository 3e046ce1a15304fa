"""``polis``: real votes of real people in public opinion conversations.

``data`` is a folder with ``polis/<conversation>/`` in it, each with a file of statements (id, text) and a file of
votes (user, statement, vote: 1 agree, −1 disagree, 0 pass).
"""

from pathlib import Path

from bench.compare.world import World
from bench.compare.worlds.text import Encode, encode
from bench.compare.worlds.votes import conversation
from elicitation.errors import InvalidInput

CONVERSATIONS_QUICK = 2
REMEDY = (
    "get the public data (github.com/compdemocracy/openData), give every conversation a folder with statements "
    "(id, text) and votes (user, statement, vote), put these folders into DIR/polis and name DIR with --data DIR"
)


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """One world per conversation; raises InvalidInput where there is no data."""
    return tuple(world for world in both(seed, quick, data, encode) if world.by_heart)


def both(seed: int, quick: bool, data: Path | None, encode: Encode) -> tuple[World, ...]:
    """Each conversation's world of known statements and of unseen ones (``votes``)."""
    if data is None or not (data / "polis").is_dir():
        raise InvalidInput(f"polis needs data: {data or 'no folder'} holds no folder polis; {REMEDY}")
    folders = sorted(folder for folder in (data / "polis").iterdir() if folder.is_dir())
    if not folders:
        raise InvalidInput(f"{data / 'polis'} holds 0 conversations; {REMEDY}")
    some = folders[:CONVERSATIONS_QUICK] if quick else folders
    return tuple(world for folder in some for world in conversation(folder, seed, quick, encode))
