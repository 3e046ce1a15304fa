"""The card of a basis that was learned from people, and the folder that the service reads."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from elicitation.choice import ChoiceModel
from reward_bases.artifact import DEFAULT, load_artifact, save_artifact
from reward_bases.basis import Head
from reward_bases.sources.encoder import WINDOW
from reward_bases.train.data.reading import Data
from reward_bases.train.features.language import Language, bank_reference
from reward_bases.train.features.space import Scaled
from reward_bases.train.grounds import ENCODER
from reward_bases.train.model.checkpoint import tensors_of, write_json, write_whole
from reward_bases.train.model.product import Product
from reward_bases.train.request import CARD, Place
from reward_bases.train.validate.evaluate import DECIDED_AT, Evaluation, spoken

HEADS = "heads.safetensors"
LIMITS = (
    "Heads predict what the people in the data preferred; they do not know what is true, safe or good for anybody.",
    "Taste heads are directions found in judgments and named after what they resemble; r in a head's description says "
    "how much.",
    "No head is protected: every coefficient follows a person's answers, within the guard's budget.",
)
NOT_TUNED = "the shipped basis's budget, not chosen for this basis; choose one with keel guard tune --basis DIR --write"


def data_card(data: Data, place: Place) -> dict[str, Any]:
    """What was read, without a word of it."""
    return {
        "name": place.request.data.name,
        "sha256": place.data_sha256,
        "kind": str(data.kind),
        "rows": data.refused.rows,
        "judgments": len(data.left),
        "people": len(data.user_ids),
        "prompts": len(data.prompts.unique()),
        "responses": len(data.responses) or None,
        "kept_out": data.refused.kept_out,
        "refused": [
            {"reason": str(one.reason), "count": one.count, "places": list(one.places)} for one in data.refused.refused
        ],
    }


def metrics_card(evaluation: Evaluation) -> dict[str, Any]:
    """Figures on held-out people, personal and aggregate side by side."""
    return {
        "people": evaluation.people,
        "judgments": evaluation.judgments,
        "held_out": "people and prompts" if evaluation.new_prompts else "people",
        "aggregate": spoken(evaluation.aggregate),
        "personal": {
            str(stage.answers): {"answers_read": round(stage.read, 2), **spoken(stage.personal)}
            for stage in evaluation.stages
        },
        "gain": {str(stage.answers): spoken(stage.gain) for stage in evaluation.stages},
        "added": {str(stage.answers): spoken(stage.added) for stage in evaluation.stages},
        "decided_at_answers": DECIDED_AT,
        "verdict": evaluation.verdict,
        "sentence": evaluation.sentence,
    }


def write_basis(
    folder: Path,
    language: Language,
    scaled: Scaled,
    product: Product,
    members: Tensor,
    reference: Tensor,
    heads: Sequence[Head],
    model: ChoiceModel,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    tuned: bool,
) -> None:
    """Everything that ``load_artifact`` reads; the card comes last."""
    shutil.copyfile(DEFAULT / "bank.json", folder / "bank.json")
    write_json(folder / "guard.json", {"budget": dict(load_artifact().budget), "note": NOT_TUNED})
    answers = bank_reference(language.within(scaled)).flatten(0, 1)
    tensors = {
        "components": language.space.components,
        "lowest": scaled.lowest,
        "highest": scaled.highest,
        "weights": product.weights,
        "mean": product.mean,
        "spread": product.spread,
        "reference": product.standardise(reference),
        "bank_phi": product.standardise(answers),
        "ensemble": members,
        **tensors_of(product.population),
    }
    encoder = language.encoder
    card = {
        "encoder": {
            "name": ENCODER if tuned else encoder.name,
            "sha256": encoder.sha256,
            "pooling": f"{encoder.pooling}, unit length",
            "long_texts": f"consecutive windows of {min(WINDOW, encoder.window)} tokens, averaged by token count",
        },
        "choice_model": asdict(model),
        "population": population_card(product, heads),
        "reference": {"prompts": reference.shape[0], "responses_per_prompt": reference.shape[1]},
        "bank_answers": [answer.id for prompt in language.bank.prompts for answer in prompt.answers],
        "data": [{"name": data["name"], "use": "every head but the designed ones, population, choice model", **data}],
        "limits": list(LIMITS),
        "metrics": training["metrics"],
        "training": training,
    }
    save_artifact(folder, tensors, tuple(heads), card)


def write_heads(
    folder: Path,
    product: Product,
    members: Tensor,
    heads: Sequence[Head],
    model: ChoiceModel,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
) -> None:
    """Heads and population over given features, which no service can compute; the card comes last."""
    tensors = {
        "weights": product.weights / product.spread[:, None],
        "ensemble": members / product.spread[:, None],
        **tensors_of(product.population),
    }
    write_whole(folder / HEADS, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    card = {
        "heads": [head.name for head in heads],
        "choice_model": asdict(model),
        "population": population_card(product, heads),
        "data": [data],
        "limits": list(LIMITS),
        "metrics": training["metrics"],
        "training": training,
    }
    write_json(folder / CARD, card)


def population_card(product: Product, heads: Sequence[Head]) -> dict[str, Any]:
    """Aggregate and spread of coefficients by head, nats per spread."""
    names, population = [head.name for head in heads], product.population
    std = population.covariance.diagonal().clamp_min(0).sqrt()
    return {
        "components": len(population.components),
        "aggregate": dict(zip(names, population.mean.tolist(), strict=True)),
        "std": dict(zip(names, std.tolist(), strict=True)),
    }


def by_name(names: Sequence[str], values: Tensor) -> dict[str, float]:
    return {name: round(value, 4) for name, value in zip(names, torch.as_tensor(values).tolist(), strict=True)}
