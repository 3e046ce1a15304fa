"""``ukp``: which of two arguments for one side of a debate is more convincing (UKPConvArg1, Habernal & Gurevych 2016).

Held out are people and debates, a debate with both its sides: training people judge 5 of 16 debates, held-out people
are asked about 5 others and tested on the 6 that remain, so that no argument is in two parts. Held out are up to
HELD_OUT of those who have at least MIN_POOL judgments to ask for and MIN_TARGETS without ties to be tested on; these
are the busiest workers, so training people are many with few judgments each. Judgments of held-out people on training
debates and of training people elsewhere are left out. A debate counts as one prompt.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from bench.compare.world import Judgments, Pairs, World
from bench.compare.worlds.parts import QUESTIONS, TARGETS, TRAIN, parted
from bench.compare.worlds.recorded import SAME, Division, count, drawn, judgments, random_sides, world
from bench.compare.worlds.simulated import within_prompts
from bench.compare.worlds.text import LENGTH, Encode, encode, response_features
from elicitation.errors import InvalidInput
from reward_bases.train.data.reading import Data, read

FOLDER = "ukpconvarg1"
SHARES = {TRAIN: 5, QUESTIONS: 5, TARGETS: 6}
MIN_POOL, MIN_TARGETS = 20, 10
HELD_OUT, HELD_OUT_QUICK = 100, 40
SERVED = 2000


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """One world; raises InvalidInput where there is no data, or nobody judged enough."""
    if data is None or not (data / FOLDER).is_dir():
        raise InvalidInput(
            f"ukp needs data: {data or 'no folder'} holds no folder {FOLDER}; get UKPConvArg1 (ACL 2016), "
            "write arguments (id, prompt, text) and judgments (user, a, b, choice) there, name its parent: --data DIR"
        )
    found = read(data / FOLDER)
    generator = torch.Generator().manual_seed(seed)
    debates = _debates(found)
    parts = parted(int(debates.max()) + 1, SHARES, generator)
    judged = random_sides(judgments(found), generator)
    judged = replace(judged, prompts=debates[judged.prompts])
    division = _division(judged, parts, HELD_OUT_QUICK if quick else HELD_OUT, generator)
    of_item = parts[debates][found.items[:, 0]]
    features = response_features(
        [found.conversations[row] for row in found.items[:, 0].tolist()],
        [found.responses[row] for row in found.items[:, 1].tolist()],
        found.items[:, 0],
        of_item == TRAIN,
        encode,
    )
    return (world("ukp", seed, features, LENGTH, judged, division, _served(found, of_item, generator)),)


def _debates(data: Data) -> Tensor:
    """The number of every conversation's debate; a conversation is one side of it."""
    prompts = pd.Series([conversation.last_user for conversation in data.conversations])
    debate = prompts.str.extract(r"Debate: (.*?) Argue", expand=False).fillna(prompts)
    return torch.from_numpy(pd.factorize(debate)[0])


def _division(judged: Judgments, parts: Tensor, most: int, generator: torch.Generator) -> Division:
    part = parts[judged.prompts]
    asked, tested = part == QUESTIONS, (part == TARGETS) & (judged.outcomes.column != SAME)
    eligible = (count(judged, asked) >= MIN_POOL) & (count(judged, tested) >= MIN_TARGETS)
    if not bool(eligible.any()):
        raise InvalidInput(
            f"nobody made {MIN_POOL} judgments to ask for and {MIN_TARGETS} to be tested on; add judgments"
        )
    own = drawn(eligible, most, generator)[judged.people]
    return Division(~own & (part == TRAIN), own & asked, own & tested)


def _served(data: Data, of_item: Tensor, generator: torch.Generator) -> Pairs:
    pairs = within_prompts(data.items[:, 0], generator)
    rows = torch.nonzero(of_item[pairs.left] == TRAIN).flatten()
    return pairs[rows[torch.randperm(len(rows), generator=generator)[:SERVED]]]
