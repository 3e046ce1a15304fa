"""``votes``: one conversation of real people's votes on statements, in the formats that ``keel train`` reads.

Of the people with at least MIN_VOTES votes that are no passes, a share is held out; the votes of all others teach.
Two worlds:

- ``<name>``: an item is a statement, its features its own column. A random half of a held-out person's votes that are
  no passes are targets, the others and the passes are what they answer when asked.
- ``<name>-text``: features are of the statements' texts. A share of the statements is hidden: nobody's votes on them
  teach or are asked about, and held-out people are tested on these alone.
"""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from bench.compare.world import NOBODY, Judgments, Pairs, World
from bench.compare.worlds.recorded import SAME, Division, count, drawn, judgments, world
from bench.compare.worlds.text import LENGTH, Encode, encode, statement_features
from elicitation.errors import InvalidInput
from reward_bases.train.data.layouts import Kind
from reward_bases.train.data.reading import Data, read

MIN_VOTES = 15
HELD_OUT_SHARE, HIDDEN_SHARE = 0.3, 0.3
HELD_OUT, HELD_OUT_QUICK = 60, 15
STATEMENTS_MIN = 10


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """Both worlds of the folder or file ``data``; raises InvalidInput where it holds no votes, or too few."""
    if data is None:
        raise InvalidInput("votes has no data of its own; name a folder of statements and votes with --data DIR")
    return conversation(data, seed, quick, encode)


def conversation(path: Path, seed: int, quick: bool, encode: Encode) -> tuple[World, World]:
    """The world of statements and that of their texts."""
    return voted(path.resolve().name, _votes(path), seed, quick, encode)


def voted(name: str, data: Data, seed: int, quick: bool, encode: Encode) -> tuple[World, World]:
    """The world of the votes ``data``, called ``name``, and that of the statements' texts."""
    judged = judgments(data)
    generator = torch.Generator().manual_seed(seed)
    held_out = _held_out(judged, quick, generator)
    items = len(data.items)
    own = _world(
        name,
        seed,
        torch.eye(items, dtype=torch.float64),
        None,
        judged,
        _halved(judged, held_out, generator),
        torch.arange(items),
    )
    hidden = torch.zeros(items, dtype=torch.bool)
    hidden[torch.randperm(items, generator=generator)[: round(HIDDEN_SHARE * items)]] = True
    texts = [data.responses[row] for row in data.items[:, 1].tolist()]
    described = statement_features(texts, ~hidden, encode)
    return own, _world(
        f"{name}-text",
        seed,
        described,
        LENGTH,
        judged,
        _unseen(judged, held_out, hidden),
        torch.nonzero(~hidden).flatten(),
    )


def _world(
    name: str, seed: int, features: Tensor, length: int | None, judged: Judgments, division: Division, items: Tensor
) -> World:
    served = Pairs(items, torch.full_like(items, NOBODY))
    return world(name, seed, features, length, judged, division, served)


@lru_cache(maxsize=16)
def _votes(path: Path) -> Data:
    """Read once for all seeds."""
    data = read(path)
    if data.kind != Kind.VOTES:
        raise InvalidInput(f"{path.name} holds {data.kind}, not votes; run keel bench pairs on it")
    if len(data.items) < STATEMENTS_MIN:
        raise InvalidInput(f"{path.name} has {len(data.items)} statements; at least {STATEMENTS_MIN} are needed")
    return data


def _held_out(judged: Judgments, quick: bool, generator: torch.Generator) -> Tensor:
    """(P,) bool."""
    eligible = count(judged, judged.outcomes.column != SAME) >= MIN_VOTES
    most = min(round(HELD_OUT_SHARE * int(eligible.sum())), HELD_OUT_QUICK if quick else HELD_OUT)
    if most == 0:
        raise InvalidInput(
            f"{int(eligible.sum())} people voted at least {MIN_VOTES} times without passing; "
            f"at least {round(1 / HELD_OUT_SHARE)} are needed to hold some out"
        )
    return drawn(eligible, most, generator)


def _halved(judged: Judgments, held_out: Tensor, generator: torch.Generator) -> Division:
    own = held_out[judged.people]
    tested = torch.zeros_like(own)
    for person in torch.nonzero(held_out).flatten().tolist():
        said = torch.nonzero((judged.people == person) & (judged.outcomes.column != SAME)).flatten()
        tested[said[torch.randperm(len(said), generator=generator)[: len(said) // 2]]] = True
    return Division(~own, own & ~tested, tested)


def _unseen(judged: Judgments, held_out: Tensor, hidden: Tensor) -> Division:
    own, unseen = held_out[judged.people], hidden[judged.pairs.left]
    return Division(~own & ~unseen, own & ~unseen, own & unseen & (judged.outcomes.column != SAME))
