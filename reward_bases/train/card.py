"""The card of a basis that was learned from people, and the folder that the service reads."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from elicitation.choice import ChoiceModel
from reward_bases.artifact import DEFAULT, load_artifact, save_artifact
from reward_bases.basis import Head
from reward_bases.population_codec import choice_entry, population_entry, population_tensors
from reward_bases.reading_rule import NEWEST
from reward_bases.sources.encoder import WINDOW, Encoder
from reward_bases.train.data.reading import Data
from reward_bases.train.features.space import Scaled
from reward_bases.train.features.text_features import TextFeatures, bank_reference
from reward_bases.train.model.checkpoint import write_json, write_whole
from reward_bases.train.model.ensemble import disagreement
from reward_bases.train.model.served_heads import ServedHeads
from reward_bases.train.request import CARD, RunFolder
from reward_bases.train.training_set import ENCODER, TrainingSet
from reward_bases.train.validate.evaluate import DECIDED_AT, Evaluation, spoken

HEADS = "heads.safetensors"
LIMITS = (
    "Heads predict what the people in the data preferred; they do not know what is true, safe or good for anybody.",
    "Taste heads are directions found in judgments and named after what they resemble; r in a head's description says "
    "how much.",
    "No head is protected: every coefficient follows a person's answers, within the guard's budget.",
)
NOT_TUNED = "the shipped basis's budget, not chosen for this basis; choose one with keel guard tune --basis DIR --write"


@dataclass(frozen=True, eq=False)
class TrainedBasis:
    """The heads to serve with their descriptions, the ensemble's ``members`` (S, K, F) and the choice model.

    ``reference`` (P, n, F) are clipped features, None for judgments without texts.
    """

    heads: tuple[Head, ...]
    served: ServedHeads
    members: Tensor
    model: ChoiceModel
    reference: Tensor | None

    @property
    def names(self) -> list[str]:
        return [head.name for head in self.heads]


def data_card(data: Data, folder: RunFolder) -> dict[str, Any]:
    """The data as counts, without a word of their texts."""
    return {
        "name": folder.request.data.name,
        "sha256": folder.data_sha256,
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
        "folds": evaluation.folds,
        "unjudged": evaluation.unjudged,
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


def ensemble_card(basis: TrainedBasis) -> dict[str, Any]:
    """How far the members of the ensemble are from the heads, in spreads, by head."""
    size, features = len(basis.members), basis.served.weights.shape[1]
    points = torch.eye(features, dtype=torch.float64) if basis.reference is None else basis.reference.flatten(0, 1)
    apart = disagreement(basis.served.weights, basis.members, points, basis.served.spread)
    return {"size": size, "disagreement": by_name(basis.names, apart) if size else None}


def write(folder: Path, basis: TrainedBasis, training_set: TrainingSet, training: Mapping[str, Any]) -> None:
    """The run's folder: a basis to serve or, for judgments without texts, heads over their features."""
    if training_set.text_features is None or basis.reference is None:
        write_heads(folder, basis, training)
    else:
        write_basis(folder, basis, training_set.features, training_set.text_features, basis.reference, training)


def write_basis(
    folder: Path,
    basis: TrainedBasis,
    scaled: Scaled,
    text_features: TextFeatures,
    reference: Tensor,
    training: Mapping[str, Any],
) -> None:
    """All files that ``load_artifact`` reads; the card comes last."""
    shutil.copyfile(DEFAULT / "bank.json", folder / "bank.json")
    write_json(folder / "guard.json", {"budget": dict(load_artifact().budget), "note": NOT_TUNED})
    data, served = training["data"], basis.served
    answers = bank_reference(text_features.within(scaled)).flatten(0, 1)
    tensors = {
        "components": text_features.space.components,
        "lowest": scaled.lowest,
        "highest": scaled.highest,
        "weights": served.weights,
        "mean": served.mean,
        "spread": served.spread,
        "reference": served.standardise(reference),
        "bank_phi": served.standardise(answers),
        "ensemble": basis.members,
        **population_tensors(served.population),
    }
    card = {
        "encoder": encoder_card(text_features.encoder, training["arguments"]["tune"]),
        "reading": NEWEST,
        "choice_model": choice_entry(basis.model),
        "population": population_card(basis),
        "reference": {"prompts": reference.shape[0], "responses_per_prompt": reference.shape[1]},
        "bank_answers": [answer.id for prompt in text_features.bank.prompts for answer in prompt.answers],
        "data": [{"name": data["name"], "use": "every head but the designed ones, population, choice model", **data}],
        "limits": list(LIMITS),
        "metrics": training["metrics"],
        "training": training,
    }
    save_artifact(folder, tensors, basis.heads, card)


def write_heads(folder: Path, basis: TrainedBasis, training: Mapping[str, Any]) -> None:
    """Heads and population over given features, which no service can compute; the card comes last."""
    spread = basis.served.spread[:, None]
    tensors = {
        "weights": basis.served.weights / spread,
        "ensemble": basis.members / spread,
        **population_tensors(basis.served.population),
    }
    write_whole(folder / HEADS, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    card = {
        "heads": basis.names,
        "choice_model": choice_entry(basis.model),
        "population": population_card(basis),
        "data": [training["data"]],
        "limits": list(LIMITS),
        "metrics": training["metrics"],
        "training": training,
    }
    write_json(folder / CARD, card)


def encoder_card(encoder: Encoder, tuned: bool) -> dict[str, Any]:
    """The encoder, by its weights and its rule for long texts."""
    return {
        "name": ENCODER if tuned else encoder.name,
        "sha256": encoder.sha256,
        "setup_sha256": encoder.setup_sha256,
        **({} if encoder.revision is None else {"revision": encoder.revision}),
        "pooling": f"{encoder.pooling}, unit length",
        "long_texts": f"consecutive windows of {min(WINDOW, encoder.window)} tokens, averaged by token count",
    }


def population_card(basis: TrainedBasis) -> dict[str, Any]:
    """Aggregate and spread of coefficients by head, nats per spread."""
    population = basis.served.population
    return {"components": len(population.components), **population_entry(basis.names, population)}


def by_name(names: Sequence[str], values: Tensor) -> dict[str, float]:
    return {name: round(value, 4) for name, value in zip(names, torch.as_tensor(values).tolist(), strict=True)}
