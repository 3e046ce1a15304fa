"""``pairs``: any file of many people's comparisons or ratings, in the formats that ``keel train`` reads.

Of the people with at least MIN_JUDGMENTS judgments a share is held out, and prompts are divided so that no prompt is
in two parts: one that only training people judged teaches, one that only held-out people judged is asked or tested,
one that both judged is taught, asked or tested at random. Who then has too few answers or targets is neither asked nor
tested. Ties are no targets.
"""

from pathlib import Path

import torch
from torch import Tensor

from bench.compare.world import Judgments, Pairs, World, differences
from bench.compare.worlds.parts import QUESTIONS, TARGETS, TRAIN, parted
from bench.compare.worlds.recorded import SAME, Division, count, drawn, judgments, random_sides, world
from bench.compare.worlds.text import LENGTH, Encode, encode, response_features
from elicitation.errors import InvalidInput
from reward_bases.train.data.layouts import Kind
from reward_bases.train.data.reading import Data, read
from reward_bases.train.data.table import FeatureTable

MIN_JUDGMENTS, MIN_POOL, MIN_TARGETS = 20, 5, 3
HELD_OUT_SHARE = 0.3
HELD_OUT, HELD_OUT_QUICK = 60, 15
SHARED = {TRAIN: 2, QUESTIONS: 1, TARGETS: 1}
TESTED = {QUESTIONS: 1, TARGETS: 1}
SERVED = 2000


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """One world of the file or folder ``data``; raises InvalidInput where it holds no comparisons, or too few."""
    if data is None:
        raise InvalidInput("pairs has no data of its own; name a file of comparisons with --data FILE")
    found = read(data)
    if found.kind == Kind.VOTES:
        raise InvalidInput(f"{data.name} holds votes, not comparisons; run keel bench votes on it")
    generator = torch.Generator().manual_seed(seed)
    judged = random_sides(judgments(found), generator)
    own = _held_out(judged, quick, generator)[judged.people]
    parts = _parts(judged, own, generator)
    division = _division(judged, parts, own)
    features, length = _given(found.table, judged.pairs[division.teach]) if found.table else _read(found, parts, encode)
    taught = torch.nonzero(division.teach).flatten()
    served = judged.pairs[taught[torch.randperm(len(taught), generator=generator)[:SERVED]]]
    return (world(data.resolve().name, seed, features, length, judged, division, served),)


def _held_out(judged: Judgments, quick: bool, generator: torch.Generator) -> Tensor:
    """(P,) bool."""
    eligible = count(judged, torch.ones_like(judged.people, dtype=torch.bool)) >= MIN_JUDGMENTS
    share = round(HELD_OUT_SHARE * int(eligible.sum()))
    return drawn(eligible, min(share, HELD_OUT_QUICK if quick else HELD_OUT), generator)


def _parts(judged: Judgments, own: Tensor, generator: torch.Generator) -> Tensor:
    """The part of every prompt."""
    prompts = int(judged.prompts.max()) + 1
    by_held_out, by_others = (torch.bincount(judged.prompts[rows], minlength=prompts) > 0 for rows in (own, ~own))
    parts = torch.full((prompts,), TRAIN)
    for kind, shares in ((by_held_out & by_others, SHARED), (by_held_out & ~by_others, TESTED)):
        parts[kind] = parted(int(kind.sum()), shares, generator)
    return parts


def _division(judged: Judgments, parts: Tensor, own: Tensor) -> Division:
    part = parts[judged.prompts]
    asked, tested = own & (part == QUESTIONS), own & (part == TARGETS) & (judged.outcomes.column != SAME)
    kept = ((count(judged, asked) >= MIN_POOL) & (count(judged, tested) >= MIN_TARGETS))[judged.people]
    teach = ~own & (part == TRAIN)
    if not bool(kept.any()) or not bool(teach.any()):
        raise InvalidInput(
            f"{judged.size} people judged {len(judged.prompts.unique())} prompts, which leaves "
            f"{len(judged.people[kept].unique())} people to test and {int(teach.sum())} judgments to learn from; "
            f"add people with at least {MIN_JUDGMENTS} judgments on at least {sum(SHARED.values())} prompts"
        )
    return Division(teach, asked & kept, tested & kept)


def _read(data: Data, parts: Tensor, encode: Encode) -> tuple[Tensor, int | None]:
    """Features of the texts and the column that counts length."""
    prompts = data.items[:, 0]
    known = torch.cat([parts, torch.full((len(data.conversations) - len(parts),), QUESTIONS)])
    conversations = [data.conversations[row] for row in prompts.tolist()]
    responses = [data.responses[row] for row in data.items[:, 1].tolist()]
    return response_features(conversations, responses, prompts, known[prompts] == TRAIN, encode), LENGTH


def _given(table: Path, taught: Pairs) -> tuple[Tensor, int | None]:
    """Features that came with the judgments, with differences between ``taught`` pairs of standard deviation 1."""
    stored = FeatureTable.open(table)
    features = stored.rows(torch.arange(len(stored)))
    spread = differences(features, taught).square().mean(0).sqrt()
    return features / torch.where(spread > 0, spread, torch.ones_like(spread)), None
