"""``mtbench``: people choose the better of two language models' answers, MT-bench (Zheng et al. 2023).

The folder has judgments (user, pair_id, choice) and pairs (pair_id, question_id, turn, prompt_1, prompt_2, response_a,
response_b). In the second turn the models answer prompt_2 after first answers of their own, which differ, so that no
prompt is common to both sides. Its prompt here is both questions without the first answers; the responses are the
second answers alone. Both turns of a question are one prompt when prompts are held out. Divided as in ``pairs``.
"""

from functools import lru_cache
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from bench.compare.world import World
from bench.compare.worlds.pairs import compared
from bench.compare.worlds.public import folder_of, read_rows, require_columns, table
from bench.compare.worlds.text import Encode, encode
from reward_bases.train.data.reading import Data

SOURCE = "the human judgments of MT-bench (huggingface.co/datasets/lmsys/mt_bench_human_judgments)"
PAIRS = ("pair_id", "question_id", "turn", "prompt_1", "prompt_2", "response_a", "response_b")
JUDGMENTS = ("user", "pair_id", "choice")


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """A world for each fold; raises InvalidInput if there is no data."""
    judged, questions = _judged(folder_of(data, "mtbench", ("pairs", "judgments"), SOURCE))
    return compared("mtbench", judged, seed, quick, encode, questions)


@lru_cache(maxsize=1)
def _judged(folder: Path) -> tuple[Data, Tensor]:
    """The judgments and the number of every conversation's question."""
    pairs, judgments = table(folder, "pairs"), table(folder, "judgments")
    require_columns(pairs, PAIRS, "pairs")
    require_columns(judgments, JUDGMENTS, "judgments")
    both = pairs["prompt_1"] + "\n\n" + pairs["prompt_2"]
    pairs = pairs.assign(prompt=pairs["prompt_1"].where(pairs["turn"] == "1", both))
    data = read_rows(judgments.merge(pairs, on="pair_id"))
    question = dict(zip(pairs["prompt"], pairs["question_id"], strict=True))
    asked = pd.Series([question[said.last_user] for said in data.conversations])
    return data, torch.from_numpy(pd.factorize(asked)[0])
