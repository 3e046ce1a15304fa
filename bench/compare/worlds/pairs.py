"""``pairs``: any file of many people's comparisons or ratings, in the formats that ``keel train`` reads.

People with at least MIN_JUDGMENTS judgments are tested, each once a seed. They are divided at random into FOLDS folds
of at most HELD_OUT people. Each fold is held out in turn; all other people teach. LEARNERS bounds the work of a seed:
of more than LEARNERS / FOLDS people fewer folds are held out, at least one.

About TARGET_SHARE of a held-out person's prompts are targets, in every fold others. Nobody learns or is asked about
them. Held-out people are asked about their other prompts, on which others may have taught. Who has fewer than MIN_POOL
questions or MIN_TARGETS targets is neither asked nor tested. Ties are no targets.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bench.compare.world import Judgments, Pairs, World, differences
from bench.compare.worlds.recorded import SAME, Division, count, judgments, random_sides, world
from bench.compare.worlds.text import LENGTH, Encode, encode, response_features
from elicitation.errors import InvalidInput
from reward_bases.train.data.layouts import Kind
from reward_bases.train.data.reading import Data, read
from reward_bases.train.data.table import FeatureTable

MIN_JUDGMENTS, MIN_POOL, MIN_TARGETS = 8, 3, 2
FOLDS = 5
HELD_OUT, HELD_OUT_QUICK = 60, 15
LEARNERS = 1500
"""At most so many people, counted once for each fold, are learned from in a seed with several folds."""
TARGET_SHARE = 0.4
SERVED = 2000


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """A world for each fold of the file or folder ``data``; raises InvalidInput if it holds no comparisons, or too
    few."""
    if data is None:
        raise InvalidInput("pairs has no data of its own; name a file of comparisons with --data FILE")
    found = read(data)
    if found.kind == Kind.VOTES:
        raise InvalidInput(f"{data.name} holds votes, not comparisons; run keel bench votes on it")
    return compared(data.resolve().name, found, seed, quick, encode)


def compared(
    name: str, data: Data, seed: int, quick: bool, encode: Encode, groups: Tensor | None = None
) -> tuple[World, ...]:
    """A world called ``name`` for each fold of the comparisons ``data``; raises InvalidInput if they are too few.

    Conversations with one number in ``groups`` (C,) count as one prompt; without groups each is a prompt of its own.
    """
    generator = torch.Generator().manual_seed(seed)
    judged = random_sides(judgments(data), generator)
    groups = torch.arange(max(len(data.conversations), int(judged.prompts.max()) + 1)) if groups is None else groups
    judged = replace(judged, prompts=groups[judged.prompts])
    divisions = [_division(judged, own, generator) for own in folds(judged, quick, generator)]
    usable = [division for division in divisions if bool(division.tested.any()) and bool(division.teach.any())]
    if not usable:
        raise InvalidInput(_too_few(judged))
    texts, found = None if data.table else _texts(data), []
    for fold, division in enumerate(usable):
        taught = judged.pairs[division.teach]
        known = judged.prompts[division.teach].unique()
        features, length = _given(data.table, taught) if data.table else _read(data, groups, known, encode)
        served = taught[torch.randperm(len(taught), generator=generator)[:SERVED]]
        found.append(world(name, seed, features, length, judged, division, served, fold, texts))
    return tuple(found)


def folds(judged: Judgments, quick: bool, generator: torch.Generator) -> list[Tensor]:
    """(P,) bool each: the people held out together. Nobody is in two folds."""
    people = torch.nonzero(_eligible(judged)).flatten()
    people = people[torch.randperm(len(people), generator=generator)]
    most = FOLDS * (HELD_OUT_QUICK if quick else HELD_OUT)
    played = 1 if quick else max(1, LEARNERS // judged.size)
    groups = people[:most].tensor_split(FOLDS)[:played]
    return [torch.zeros(judged.size, dtype=torch.bool).index_fill(0, group, True) for group in groups if len(group)]


def _eligible(judged: Judgments) -> Tensor:
    """(P,) bool."""
    return count(judged, torch.ones_like(judged.people, dtype=torch.bool)) >= MIN_JUDGMENTS


def target_prompts(judged: Judgments, own: Tensor, generator: torch.Generator) -> Tensor:
    """Which prompts (Q,) bool are targets, such that each of the people ``own`` (P,) bool has about TARGET_SHARE.

    Prompts come in random order. One becomes a target if this brings the people who judged it closer to their share.
    """
    rows = torch.nonzero(own[judged.people]).flatten()
    prompts, number = judged.prompts[rows].unique(return_inverse=True)
    by_prompt = judged.people[rows][number.argsort(stable=True)].split(torch.bincount(number).tolist())
    lacking = torch.zeros(judged.size, dtype=torch.float64)
    targets = torch.zeros(int(judged.prompts.max()) + 1, dtype=torch.bool)
    for place in torch.randperm(len(prompts), generator=generator).tolist():
        people = by_prompt[place]
        lacking.index_add_(0, people, torch.full((len(people),), TARGET_SHARE, dtype=torch.float64))
        if float(lacking[people].sum()) >= len(people) / 2:
            targets[prompts[place]] = True
            lacking.index_add_(0, people, torch.full((len(people),), -1.0, dtype=torch.float64))
    return targets


def _division(judged: Judgments, own: Tensor, generator: torch.Generator) -> Division:
    """The division in which the people ``own`` (P,) bool are held out."""
    mine, last = own[judged.people], target_prompts(judged, own, generator)[judged.prompts]
    asked, tested = mine & ~last, mine & last & (judged.outcomes.column != SAME)
    kept = ((count(judged, asked) >= MIN_POOL) & (count(judged, tested) >= MIN_TARGETS))[judged.people]
    return Division(~mine & ~last, asked & kept, tested & kept)


def _too_few(judged: Judgments) -> str:
    return (
        f"{judged.size} people judged {len(judged.prompts.unique())} prompts, of whom {int(_eligible(judged).sum())} "
        f"made at least {MIN_JUDGMENTS} judgments, and a part of them cannot be tested on prompts that nobody learns "
        f"from; add people with at least {MIN_JUDGMENTS} judgments on several prompts"
    )


def _read(data: Data, groups: Tensor, known: Tensor, encode: Encode) -> tuple[Tensor, int | None]:
    """Features of the texts and the column that counts length; the prompts ``known`` teach."""
    prompts = data.items[:, 0]
    taught = torch.isin(groups[prompts], known)
    conversations = [data.conversations[row] for row in prompts.tolist()]
    responses = [data.responses[row] for row in data.items[:, 1].tolist()]
    return response_features(conversations, responses, prompts, taught, encode), LENGTH


def _texts(data: Data) -> tuple[tuple[str, str], ...]:
    """Prompt and response of every item."""
    prompts = [conversation.plain for conversation in data.conversations]
    return tuple((prompts[asked], data.responses[said]) for asked, said in data.items.tolist())


def _given(table: Path, taught: Pairs) -> tuple[Tensor, int | None]:
    """Features that came with the judgments, with differences between ``taught`` pairs of standard deviation 1."""
    stored = FeatureTable.open(table)
    features = stored.rows(torch.arange(len(stored)))
    spread = differences(features, taught).square().mean(0).sqrt()
    return features / torch.where(spread > 0, spread, torch.ones_like(spread)), None
