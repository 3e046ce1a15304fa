"""The artifact folder: basis, population, choice model, reference set, question bank and guard budget, with their card.

    basis.safetensors   every tensor
    card.json           heads, constants, versions, training data with attribution, metrics; the SHA-256 of the tensors
    bank.json           the question bank
    guard.json          budget and agreement band chosen for this reference set, with the curve they were chosen from

A version is the first 12 digits of a SHA-256 of content, so that two artifacts share one exactly when they agree.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.errors import ArtifactMismatch, InvalidInput
from elicitation.population import Population
from reward_bases.bank import Bank, load_bank
from reward_bases.basis import Basis, Head
from reward_bases.population_codec import POPULATION_TENSORS, choice_model_of, population_of, population_tensors
from reward_bases.sources.encoder import Encoder

DEFAULT = Path(__file__).parent / "default"
BASIS_TENSORS = ("components", "lowest", "highest", "weights", "mean", "spread")
COMPUTED = ("basis_version", "population_version", "bank_version", "tensors_sha256", "heads")
"""Entries of the card that ``save_artifact`` derives from what it is given."""


@dataclass(frozen=True)
class Artifact:
    """Everything the service needs beside the encoder.

    ``reference`` (P, 16, K) are φ rows without texts; ``bank_phi`` maps an answer's id to its φ (K,); ``budget`` holds
    ``divergence`` (nats) and ``starc``; ``agreement`` describes each tuned stratum of the agreement band.
    """

    basis: Basis
    population: Population
    population_version: str
    choice_model: ChoiceModel
    reference: Tensor
    bank: Bank
    bank_phi: Mapping[str, Tensor]
    budget: Mapping[str, float]
    agreement: Mapping[str, Any]
    card: Mapping[str, Any]

    def require_encoder(self, encoder: Encoder) -> None:
        """Raise ArtifactMismatch unless ``encoder`` has the weights this basis was learned on."""
        if encoder.sha256 != self.basis.encoder_sha256:
            raise ArtifactMismatch(
                f"encoder {encoder.name} has weights sha256 {encoder.sha256 or 'unknown'}, the basis was learned on "
                f"{self.basis.encoder_sha256}; load {self.basis.encoder_name} or train a basis for this encoder"
            )


def version_of(tensors: Mapping[str, Tensor], names: tuple[str, ...], constants: object = None) -> str:
    """12 hex digits that change with any of the named tensors or the constants."""
    chosen = {name: tensors[name].double().contiguous() for name in names}
    constant = json.dumps(constants, sort_keys=True).encode()
    return hashlib.sha256(save(chosen) + constant).hexdigest()[:12]


def save_artifact(
    folder: Path, tensors: Mapping[str, Tensor], heads: tuple[Head, ...], card: Mapping[str, Any]
) -> None:
    """Write tensors and card; ``card`` brings the encoder, the choice model, data and metrics."""
    stored = {name: tensor.double().contiguous() for name, tensor in tensors.items()}
    payload = save(stored)
    described = [asdict(head) for head in heads]
    versions = {
        "basis_version": version_of(stored, BASIS_TENSORS, [described, card["encoder"]["sha256"]]),
        "population_version": version_of(stored, POPULATION_TENSORS, card["choice_model"]),
        "bank_version": load_bank(folder / "bank.json").version,
        "tensors_sha256": hashlib.sha256(payload).hexdigest(),
    }
    (folder / "basis.safetensors").write_bytes(payload)
    text = json.dumps({**versions, "heads": described, **card}, indent=1, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")


def save_with_population(source: Path, target: Path, population: Population, entries: Mapping[str, Any]) -> None:
    """A copy of the artifact ``source`` in the folder ``target`` with another ``population`` and its version.

    ``entries`` of the card are replaced. What is known of the people behind the old population is not copied.
    """
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("people.*"), dirs_exist_ok=True)
    tensors = load((source / "basis.safetensors").read_bytes())
    tensors |= population_tensors(population)
    _save_again(target, tensors, entries)


def save_with_bank(source: Path, target: Path, bank: Path, phi: Tensor) -> None:
    """A copy of the artifact ``source`` in the folder ``target`` with the question bank of the file ``bank``.

    ``phi`` (n, K) are the base rewards of its n answers, in the file's order; InvalidInput for another shape.
    """
    answers = [answer.id for prompt in load_bank(bank).prompts for answer in prompt.answers]
    tensors = load((source / "basis.safetensors").read_bytes())
    expected = (len(answers), tensors["weights"].shape[0])
    if phi.shape != expected:
        raise InvalidInput(f"phi has shape {tuple(phi.shape)}; bank and basis need {expected}, a row for each answer")
    shutil.copytree(source, target, dirs_exist_ok=True)
    shutil.copyfile(bank, target / "bank.json")
    _save_again(target, tensors | {"bank_phi": phi}, {"bank_answers": answers})


def _save_again(folder: Path, tensors: Mapping[str, Tensor], entries: Mapping[str, Any]) -> None:
    """Write the copied artifact in ``folder`` with other tensors and with ``entries`` of its card replaced."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    heads = tuple(Head(**head) for head in card["heads"])
    kept = {name: value for name, value in card.items() if name not in COMPUTED}
    save_artifact(folder, tensors, heads, {**kept, **entries})


def load_artifact(folder: Path = DEFAULT) -> Artifact:
    """Read an artifact folder; raises ArtifactMismatch wherever card, tensors, code and bank disagree."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    payload = (folder / "basis.safetensors").read_bytes()
    found = hashlib.sha256(payload).hexdigest()
    if found != card["tensors_sha256"]:
        raise ArtifactMismatch(f"basis.safetensors has sha256 {found}, the card says {card['tensors_sha256']}")
    tensors = {name: tensor.double() for name, tensor in load(payload).items()}
    tensors.setdefault("ensemble", torch.zeros(0, 0, 0, dtype=torch.float64))
    heads = tuple(Head(**head) for head in card["heads"])
    bank = load_bank(folder / "bank.json")
    guard = json.loads((folder / "guard.json").read_text(encoding="utf-8"))
    _require_agreement(card, tensors, heads, bank)
    return Artifact(
        basis=Basis(
            card["basis_version"],
            card["encoder"]["name"],
            card["encoder"]["sha256"],
            heads,
            *(tensors[name] for name in (*BASIS_TENSORS, "ensemble")),
        ),
        population=population_of(tensors),
        population_version=card["population_version"],
        choice_model=choice_model_of(card),
        reference=tensors["reference"],
        bank=bank,
        bank_phi=dict(zip(card["bank_answers"], tensors["bank_phi"], strict=True)),
        budget=guard["budget"],
        agreement=guard.get("agreement", {}),
        card=card,
    )


def _require_agreement(
    card: Mapping[str, Any], tensors: Mapping[str, Tensor], heads: tuple[Head, ...], bank: Bank
) -> None:
    k = len(heads)
    shapes = {"weights": k, "mean": k, "spread": k, "population_mean": k, "reference": k, "bank_phi": k}
    for name, width in shapes.items():
        dimension = 0 if name == "weights" else -1
        if tensors[name].shape[dimension] != width:
            raise ArtifactMismatch(f"{name} has shape {tuple(tensors[name].shape)}, the card names {k} heads")
    versions = {
        "basis_version": version_of(tensors, BASIS_TENSORS, [card["heads"], card["encoder"]["sha256"]]),
        "population_version": version_of(tensors, POPULATION_TENSORS, card["choice_model"]),
        "bank_version": bank.version,
    }
    for name, found in versions.items():
        if card[name] != found:
            raise ArtifactMismatch(
                f"{name} of the content is {found}, the card says {card[name]}; rebuild the artifact"
            )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ArtifactMismatch("basis.safetensors holds values that are not finite; rebuild the artifact")
