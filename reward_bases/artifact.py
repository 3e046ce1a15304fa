"""The artifact folder: basis, population, choice model, reference set, question bank and guard budget, with their card.

    basis.safetensors   every tensor
    card.json           heads, constants, versions, training data with attribution, metrics; the SHA-256 of the tensors
                        and of guard.json, and what the encoder must be
    bank.json           the question bank
    guard.json          budget and agreement band chosen for this reference set, with the curve they were chosen from

Only regular files are read. A card of version 0.1.0 has no hash of guard.json, nor of the encoder's configuration and
tokenizer; ``Artifact.unpinned`` names what a card leaves open.

A version is the first 12 digits of a SHA-256 of content, so that two artifacts share one exactly when they agree.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
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
from reward_bases.reading_rule import ReadingRule
from reward_bases.regular import require_regular, require_regular_tree
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.entry import SourceEntry

DEFAULT = Path(__file__).parent / "default"
BASIS_TENSORS = ("components", "lowest", "highest", "weights", "mean", "spread")
FILES = ("basis.safetensors", "card.json", "bank.json", "guard.json")
"""All that decides a reward beside the encoder."""
COMPUTED = ("basis_version", "population_version", "bank_version", "tensors_sha256", "guard_sha256", "heads")
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

    @property
    def sources(self) -> tuple[SourceEntry, ...]:
        """Whose columns the basis weighs after those of text and encoder, in their order."""
        return tuple(SourceEntry.of_card(entry) for entry in self.card.get("sources", ()))

    @property
    def encoder_revision(self) -> str | None:
        """The commit of an encoder from a hub."""
        revision: str | None = self.card.get("encoder", {}).get("revision")
        return revision

    @property
    def unpinned(self) -> tuple[str, ...]:
        """What decides rewards and has no hash in the card."""
        encoder = (
            {} if "setup_sha256" in self.card.get("encoder", {}) else {"configuration and tokenizer of the encoder"}
        )
        guard = {} if "guard_sha256" in self.card else {"guard.json"}
        return (*guard, *encoder)

    def require_encoder(self, encoder: Encoder) -> None:
        """Raise ArtifactMismatch unless ``encoder`` is the one this basis was learned on; an empty hash is no match."""
        pinned, stated = self.basis.encoder_sha256, self.card.get("encoder", {}).get("setup_sha256")
        if not pinned:
            found = {"weights_sha256": encoder.sha256, "revision": encoder.revision}
            raise ArtifactMismatch(
                f"the card does not say which weights of {encoder.name} the basis was learned on; if they are those "
                f"found, add {json.dumps(found)[1:-1]} to encoder in card.json, else train the basis again"
            )
        if encoder.sha256 != pinned:
            raise ArtifactMismatch(
                f"encoder {encoder.name} has weights sha256 {encoder.sha256 or 'unknown'}, the basis was learned on "
                f"{pinned}; load {self.basis.encoder_name} or train a basis for this encoder"
            )
        if stated is not None and (not stated or encoder.setup_sha256 != stated):
            raise ArtifactMismatch(
                f"configuration and tokenizer of encoder {encoder.name} have sha256 "
                f"{encoder.setup_sha256 or 'unknown'}, the card says {stated!r}; "
                "restore them or train a basis for this encoder"
            )


def version_of(tensors: Mapping[str, Tensor], names: tuple[str, ...], constants: object = None) -> str:
    """12 hex digits that change with any of the named tensors or the constants."""
    chosen = {name: tensors[name].double().contiguous() for name in names}
    constant = json.dumps(constants, sort_keys=True).encode()
    return hashlib.sha256(save(chosen) + constant).hexdigest()[:12]


def _constants(heads: Sequence[Any], card: Mapping[str, Any]) -> list[Any]:
    """What decides φ beside tensors: heads, encoder and, if there are more, sources; where they lie does not.

    The first reading rule is left out: 0.1.0 had no other.
    """
    sources = [[entry[name] for name in ("name", "kind", "version", "columns")] for entry in card.get("sources", ())]
    rule = _reading(card)
    read = [] if rule is ReadingRule.WRITTEN else [rule]
    return [heads, card["encoder"]["sha256"], *([sources] if sources else []), *read]


def save_artifact(
    folder: Path, tensors: Mapping[str, Tensor], heads: tuple[Head, ...], card: Mapping[str, Any]
) -> None:
    """Write tensors and card; ``card`` brings the encoder, the choice model, data and metrics."""
    stored = {name: tensor.double().contiguous() for name, tensor in tensors.items()}
    payload = save(stored)
    described = [asdict(head) for head in heads]
    versions = {
        "basis_version": version_of(stored, BASIS_TENSORS, _constants(described, card)),
        "population_version": version_of(stored, POPULATION_TENSORS, card["choice_model"]),
        "bank_version": load_bank(folder / "bank.json").version,
        "tensors_sha256": hashlib.sha256(payload).hexdigest(),
        **_guard_entry(folder),
    }
    (folder / "basis.safetensors").write_bytes(payload)
    text = json.dumps({**versions, "heads": described, **card}, indent=1, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")


def save_guard(folder: Path, content: Mapping[str, Any]) -> None:
    """Make ``content`` the artifact's guard.json, and write its hash into the card."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    (folder / "guard.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    pinned = json.dumps(card | _guard_entry(folder), indent=1, ensure_ascii=False)
    (folder / "card.json").write_text(pinned + "\n", encoding="utf-8")


def _guard_entry(folder: Path) -> dict[str, str]:
    """The card's hash of guard.json; none while a basis that is being built has no guard yet."""
    path = folder / "guard.json"
    return {"guard_sha256": hashlib.sha256(path.read_bytes()).hexdigest()} if path.is_file() else {}


def save_with_population(source: Path, target: Path, population: Population, entries: Mapping[str, Any]) -> None:
    """A copy of the artifact ``source`` in the folder ``target`` with another ``population`` and its version.

    ``entries`` of the card are replaced. What is known of the people behind the old population is not copied.
    """
    require_regular_tree(source)
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
    require_regular_tree(source)
    shutil.copytree(source, target, dirs_exist_ok=True)
    shutil.copyfile(bank, target / "bank.json")
    _save_again(target, tensors | {"bank_phi": phi}, {"bank_answers": answers})


def save_with_heads(
    source: Path,
    target: Path,
    basis: Basis,
    population: Population,
    rows: Mapping[str, Tensor],
    entries: Mapping[str, Any],
    bank: Path | None = None,
) -> None:
    """A copy of the artifact ``source`` in the folder ``target`` with the heads of ``basis`` and their ``population``.

    ``rows`` are ``reference`` (P, n, K) and ``bank_phi`` (m, K) of the answers in the file ``bank``, by default the old
    one; ``entries`` of the card are replaced. The guard keeps its budget, but has no band until it is tuned again. What
    is known of the people behind the old population is not copied.
    """
    require_regular_tree(source)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("people.*"), dirs_exist_ok=True)
    if bank is not None:
        shutil.copyfile(bank, target / "bank.json")
    budget = json.loads((source / "guard.json").read_text(encoding="utf-8"))["budget"]
    (target / "guard.json").write_text(json.dumps({"budget": budget}, indent=1) + "\n", encoding="utf-8")
    kept = (*BASIS_TENSORS, *(["ensemble"] if len(basis.ensemble) else []))
    tensors = {name: getattr(basis, name) for name in kept} | population_tensors(population) | dict(rows)
    card = json.loads((target / "card.json").read_text(encoding="utf-8"))
    save_artifact(target, tensors, basis.heads, {n: v for n, v in card.items() if n not in COMPUTED} | dict(entries))


def save_with_reading(source: Path, target: Path, reading: ReadingRule) -> None:
    """A copy of the artifact ``source`` in the folder ``target`` that reads responses by ``reading``.

    It has another basis version, to which ``keel migrate`` moves profiles. φ of texts without thoughts is the same, so
    that a guard tuned before fits as before. Raises InvalidInput where that rule is in force, or reads something else
    of an answer in the bank.
    """
    require_regular_tree(source)
    read = load_artifact(source)
    if read.basis.reading is reading:
        raise InvalidInput(f"{source} reads by rule {reading}; serve it as it is")
    for answer in chain(*(prompt.answers for prompt in read.bank.prompts)):
        if reading.of_text(answer.text) != read.basis.reading.of_text(answer.text):
            raise InvalidInput(f"answer {answer.id!r} of the bank holds a thought; take it off, build the basis again")
    shutil.copytree(source, target, dirs_exist_ok=True)
    _save_again(target, load((source / "basis.safetensors").read_bytes()), {"reading": reading})


def _save_again(folder: Path, tensors: Mapping[str, Tensor], entries: Mapping[str, Any]) -> None:
    """Write the copied artifact in ``folder`` with other tensors and with ``entries`` of its card replaced."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    heads = tuple(Head(**head) for head in card["heads"])
    kept = {name: value for name, value in card.items() if name not in COMPUTED}
    save_artifact(folder, tensors, heads, {**kept, **entries})


def load_artifact(folder: Path = DEFAULT) -> Artifact:
    """Read an artifact folder; raises ArtifactMismatch wherever card, tensors, code, bank and guard disagree.

    Raises InvalidInput where one of its files is not regular.
    """
    for name in FILES:
        require_regular(folder / name)
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
    _require_guard(card, folder)
    _require_agreement(card, tensors, heads, bank)
    return Artifact(
        basis=Basis(
            card["basis_version"],
            card["encoder"]["name"],
            card["encoder"].get("weights_sha256", card["encoder"]["sha256"]),
            heads,
            *(tensors[name] for name in (*BASIS_TENSORS, "ensemble")),
            reading=_reading(card),
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


def _reading(card: Mapping[str, Any]) -> ReadingRule:
    """The card's reading rule; a card without the entry is read as version 0.1.0 read it."""
    stated = card.get("reading", ReadingRule.WRITTEN)
    if stated not in tuple(ReadingRule):
        raise ArtifactMismatch(
            f"the card says reading {stated!r}, this version knows {', '.join(ReadingRule)}; update Keel"
        )
    return ReadingRule(stated)


def _require_guard(card: Mapping[str, Any], folder: Path) -> None:
    stated, found = card.get("guard_sha256"), _guard_entry(folder)["guard_sha256"]
    if stated is not None and stated != found:
        raise ArtifactMismatch(
            f"guard.json has sha256 {found}, the card says {stated!r}; restore it, or take guard_sha256 out of "
            "card.json to accept it as it is"
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
        "basis_version": version_of(tensors, BASIS_TENSORS, _constants(card["heads"], card)),
        "population_version": version_of(tensors, POPULATION_TENSORS, card["choice_model"]),
        "bank_version": bank.version,
    }
    for name, found in versions.items():
        if card[name] != found:
            raise ArtifactMismatch(
                f"{name} of the content is {found}, the card says {card[name]}; rebuild the artifact"
            )
    answers = [answer.id for prompt in bank.prompts for answer in prompt.answers]
    if list(card["bank_answers"]) != answers:
        raise ArtifactMismatch(
            f"bank_answers of the card are not the {len(answers)} answers of bank.json in their order; "
            "rebuild the artifact"
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ArtifactMismatch("basis.safetensors holds values that are not finite; rebuild the artifact")
