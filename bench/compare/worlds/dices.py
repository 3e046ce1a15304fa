"""``dices``: people say of a chatbot's replies whether they are unsafe, DICES-350 (Aroyo et al. 2023).

The folder has judgments (user, item_id, unsafe: Yes, No or Unsure) and items (item_id, prompt, response). A judgment is
a vote on the reply: No agrees with it, Yes disagrees, Unsure is a pass. People differ in caution, the share of replies
that they call unsafe. Divided as in ``votes``, with its two worlds: replies known by votes, and replies known by their
own text, without the conversation before them.
"""

from functools import lru_cache
from pathlib import Path

from bench.compare.world import World
from bench.compare.worlds.public import folder_of, read_rows, require_columns, table
from bench.compare.worlds.text import Encode, encode
from bench.compare.worlds.votes import voted
from reward_bases.train.data.reading import Data

SOURCE = "DICES-350 (github.com/google-research-datasets/dices-dataset)"
VOTES = {"no": "1", "yes": "-1", "unsure": "0"}
ITEMS, JUDGMENTS = ("item_id", "prompt", "response"), ("user", "item_id", "unsafe")


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """The world of replies and that of their texts; raises InvalidInput if there is no data."""
    folder = folder_of(data, "dices350", ("items", "judgments"), SOURCE)
    return voted("dices", _votes(folder), seed, quick, encode)


@lru_cache(maxsize=1)
def _votes(folder: Path) -> Data:
    items, judgments = table(folder, "items"), table(folder, "judgments")
    require_columns(items, ITEMS, "items")
    require_columns(judgments, JUDGMENTS, "judgments")
    votes = judgments.assign(vote=judgments["unsafe"].str.lower().map(VOTES).fillna(judgments["unsafe"]))
    return read_rows(votes.merge(items, on="item_id"))
