"""``attributes``: PReF's design (Shenfeld et al. 2025, §5), 84 simulated people who each like two of 14 signed traits.

Seven binary traits, liked or disliked; a person is a pair of signed traits that do not contradict each other, which
gives C(14, 2) − 7 = 84, and weighs both alike. Held out are people, prompts and so pairs: training people judge pairs
of training prompts, held-out people are asked about question prompts and tested on target prompts. Somebody and
who likes the opposite are held out together, so that the aggregate is no better and no worse than chance by design.
The seeds 0 to 4 hold everybody out.

The world ``attributes`` has the texts of the question bank with their recorded traits. With a data folder there is
also ``attributes-web``: pairs of language-model responses to one instruction (``pandalm``) and of people's arguments
for one side of a debate (``ukpconvarg1``), where a trait is what one can count in the text, more or less of it than
in the other.
"""

import itertools
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from bench.compare.world import Pairs, World
from bench.compare.worlds.parts import QUESTIONS, TARGETS, TRAIN, parted
from bench.compare.worlds.simulated import Design, Stage, calibrated, within_prompts, world
from bench.compare.worlds.text import LENGTH, Encode, encode, response_features
from elicitation.errors import InvalidInput
from reward_bases.artifact import DEFAULT
from reward_bases.bank import load_bank
from reward_bases.text import Conversation

TRAITS = ("brevity", "formality", "structure", "warmth", "directness", "technical", "inquiry")
CYCLE = 5
"""So many seeds, counted from 0, hold everybody out."""
HELD_OUT, HELD_OUT_QUICK = 34, 16
FULL = Design(answers=50, shared=300, targets=300)
QUICK = Design(answers=50, shared=300, targets=100)
SHARES = {TRAIN: 60, QUESTIONS: 40, TARGETS: 40}
PAIRS_PER_PROMPT = 20

_LIST_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s", re.M)
_CONTRACTION = re.compile(r"\w['’](?:s|t|re|ve|ll|d|m)\b", re.I)
_GREETING = re.compile(r"!|\b(?:hi|hello|hey|dear|welcome|thanks|thank you|congratulations)\b", re.I)
_HEDGE = re.compile(
    r"\b(?:may|might|could|maybe|perhaps|possibly|probably|likely|seems?|usually|generally|often|sometimes|i think)\b",
    re.I,
)
_NUMBER_OR_CODE = re.compile(r"\d+|`|[{}<>]")


@dataclass(frozen=True, eq=False)
class Texts:
    """Responses with the number of their ``prompts`` (M,) and the part (M,) it belongs to, and ``levels`` (M, T)."""

    conversations: tuple[Conversation, ...]
    responses: tuple[str, ...]
    prompts: Tensor
    parts: Tensor
    levels: Tensor


def worlds(seed: int, quick: bool, data: Path | None, encode: Encode = encode) -> tuple[World, ...]:
    """The bank's world, and that of real texts when ``data`` holds ``pandalm/`` and ``ukpconvarg1/``."""
    generator = torch.Generator().manual_seed(seed)
    stages = {"attributes": bank_stage(generator, encode)}
    if data is not None:
        stages["attributes-web"] = web_stage(data, generator, encode)
    return tuple(_world(name, seed, quick, stage, generator) for name, stage in stages.items())


def tastes() -> Tensor:
    """The 84 people: weights (84, 7) of −1, 0 and 1."""
    signed = torch.cat([torch.eye(len(TRAITS), dtype=torch.float64), -torch.eye(len(TRAITS), dtype=torch.float64)])
    pairs = [signed[i] + signed[j] for i, j in itertools.combinations(range(len(signed)), 2) if j != i + len(TRAITS)]
    return torch.stack(pairs)


def split(seed: int) -> tuple[Tensor, Tensor]:
    """Numbers of the training people and of those held out; a window moves over an order that changes every CYCLE.

    Opposites follow each other and stay together.
    """
    cycle, step = divmod(seed, CYCLE)
    opposites = (tastes() @ tastes().T).argmin(1)
    couples = torch.nonzero(torch.arange(len(opposites)) < opposites).flatten()
    shuffled = torch.randperm(len(couples), generator=torch.Generator().manual_seed(cycle))
    firsts = couples[shuffled].roll(-step * math.ceil(len(couples) / CYCLE))
    order = torch.stack([firsts, opposites[firsts]], dim=1).flatten()
    return order[HELD_OUT:], order[:HELD_OUT]


def _world(name: str, seed: int, quick: bool, stage: Stage, generator: torch.Generator) -> World:
    weights = calibrated(tastes(), stage.gaps[stage.parts == QUESTIONS])
    train, held_out = split(seed)
    kept = held_out[: HELD_OUT_QUICK if quick else HELD_OUT].tolist()
    chosen = {number: weights[number] for number in kept}
    return world(name, seed, stage, weights[train], chosen, QUICK if quick else FULL, generator)


def bank_stage(generator: torch.Generator, encode: Encode) -> Stage:
    """All pairs of answers of the bank; a trait's level is as recorded, 0 or 1."""
    bank = load_bank(DEFAULT / "bank.json")
    rows = [(i, prompt, answer) for i, prompt in enumerate(bank.prompts) for answer in prompt.answers]
    prompts = torch.tensor([i for i, _, _ in rows])
    texts = Texts(
        tuple(prompt.conversation for _, prompt, _ in rows),
        tuple(answer.text for _, _, answer in rows),
        prompts,
        parted(len(bank.prompts), SHARES, generator)[prompts],
        torch.tensor([[answer.traits[trait] for trait in TRAITS] for _, _, answer in rows], dtype=torch.float64),
    )
    pairs = within_prompts(prompts, generator)
    return replace(
        _stage(texts, pairs, texts.levels[pairs.left] - texts.levels[pairs.right], encode), levels=texts.levels
    )


def web_stage(data: Path, generator: torch.Generator, encode: Encode) -> Stage:
    """Per prompt the pairs that differ in most traits; a level is −1, 0 or 1: less, as much, more than in the other."""
    texts = _web_texts(data, generator)
    pairs = within_prompts(texts.prompts, generator)
    gaps = (texts.levels[pairs.left] - texts.levels[pairs.right]).sign()
    kept = _telling(gaps.abs().sum(1), texts.prompts[pairs.left])
    return _stage(texts, pairs[kept], gaps[kept], encode)


def counted(text: str) -> list[float]:
    """What anybody can count in a text, in the order of TRAITS, higher meaning more of the trait."""
    found = [len(p.findall(text)) for p in (_CONTRACTION, _LIST_ITEM, _GREETING, _HEDGE, _NUMBER_OR_CODE)]
    contractions, items, greetings, hedges, technical = map(float, found)
    return [-float(len(text.split())), -contractions, items, greetings, -hedges, technical, float(text.count("?"))]


def _stage(texts: Texts, pairs: Pairs, gaps: Tensor, encode: Encode) -> Stage:
    taught = texts.parts == TRAIN
    features = response_features(texts.conversations, texts.responses, texts.prompts, taught, encode)
    return Stage(features, LENGTH, pairs, gaps, texts.prompts[pairs.left], texts.parts[pairs.left])


def _web_texts(data: Path, generator: torch.Generator) -> Texts:
    """Distinct responses of both sources. What is split as one: an instruction, or a debate with both its sides."""
    table = pd.concat([_pandalm(data), _ukp(data)], ignore_index=True)
    table = table[table["text"].str.strip() != ""].drop_duplicates(["prompt", "text"])
    topics = table.groupby("source", sort=True)["topic"].unique()
    assigned = [zip(some, parted(len(some), SHARES, generator).tolist(), strict=True) for some in topics]
    part = dict(itertools.chain(*assigned))
    return Texts(
        tuple(Conversation.of(prompt) for prompt in table["prompt"]),
        tuple(table["text"]),
        torch.tensor(pd.factorize(table["prompt"])[0]),
        torch.tensor([part[topic] for topic in table["topic"]]),
        torch.tensor([counted(text) for text in table["text"]], dtype=torch.float64),
    )


def _pandalm(data: Path) -> pd.DataFrame:
    judged = _read(data / "pandalm" / "judgments.csv.gz")
    sides = [judged[["prompt", f"response_{side}"]].set_axis(["prompt", "text"], axis=1) for side in ("a", "b")]
    return pd.concat(sides).assign(topic=lambda table: table["prompt"], source="pandalm")


def _ukp(data: Path) -> pd.DataFrame:
    arguments = _read(data / "ukpconvarg1" / "arguments.csv.gz")
    topics = arguments["prompt"].str.extract(r"Debate: (.*?) Argue", expand=False)
    return arguments[["prompt", "text"]].assign(topic=topics, source="ukpconvarg1")


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise InvalidInput(f"{path} does not exist; --data takes a folder that holds {path.parent.name}/{path.name}")
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _telling(differing: Tensor, prompts: Tensor) -> Tensor:
    """Rows of at most PAIRS_PER_PROMPT pairs per prompt, those that differ in most traits, in at least two."""
    ranked = torch.argsort(differing, descending=True, stable=True)
    ranked = ranked[torch.argsort(prompts[ranked], stable=True)]
    first = torch.searchsorted(prompts[ranked], prompts[ranked])
    place = torch.arange(len(ranked)) - first
    return ranked[(place < PAIRS_PER_PROMPT) & (differing[ranked] >= 2)].sort().values
