"""``keel basis build``: a basis folder from a recipe.

The recipe's sources read the answers of the bank and the responses of the reference set. Their heads join those of the
basis that is built on, in the unit of all heads, one spread over the reference set, and the guard is tuned on all.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from app.jobs import tuning
from app.jobs.folders import require_new, write_folder
from app.profiles.basis import open_artifact, open_encoder
from app.sources.opening import opening
from elicitation.errors import InvalidInput
from reward_bases.artifact import DEFAULT, Artifact, load_artifact, save_with_heads
from reward_bases.artifact_sources import sources_of
from reward_bases.bank import Bank, load_bank
from reward_bases.basis import Basis
from reward_bases.population_codec import population_entry
from reward_bases.recipe.extending import extended, require_columns, with_heads, without_heads
from reward_bases.recipe.reading import DEFAULT as SHIPPED
from reward_bases.recipe.reading import read_recipe
from reward_bases.recipe.recipe import Recipe, SourceRecipe
from reward_bases.recipe.reference import Reference, read_reference, reference_of_bank
from reward_bases.sources.embedding import Reading
from reward_bases.sources.entry import SourceEntry
from reward_bases.sources.opening import Opener
from reward_bases.sources.phi import columns_of
from reward_bases.sources.source import Pair, Source
from reward_bases.text import digest
from reward_bases.train.progress import ProgressListener

BLOCK = 64
"""Pairs between two steps of progress."""
PEOPLE, FLATTERERS = 100, 20
"""Simulated people on whom the guard is tuned, as ``keel guard tune`` has them."""


@dataclass(frozen=True)
class NewHead:
    """A head of the recipe: ``mean`` and ``spread`` of its sum of columns on the reference set, the rest in nats."""

    name: str
    mean: float
    spread: float
    aggregate: float
    std: float
    protected: bool


@dataclass(frozen=True)
class Built:
    """What was written to ``folder``; ``pairs`` were read by every source."""

    folder: str
    basis_version: str
    population_version: str
    pairs: int
    sources: tuple[SourceEntry, ...]
    heads: tuple[NewHead, ...]
    divergence: float
    starc: float


@dataclass(frozen=True, eq=False)
class Ground:
    """What a recipe builds on: an ``artifact``, the ``sources`` of all columns in their order, and the pairs to read.

    ``entries`` are of the recipe's own sources, which are the last.
    """

    recipe: Recipe
    folder: Path
    artifact: Artifact
    sources: tuple[Source, ...]
    entries: tuple[SourceEntry, ...]
    bank: Bank
    reference: Reference

    @property
    def bank_pairs(self) -> tuple[Pair, ...]:
        """The answers (m,) of the bank, in the file's order."""
        return tuple(Pair(p.conversation, answer.text) for p in self.bank.prompts for answer in p.answers)

    @property
    def new_columns(self) -> tuple[str, ...]:
        """Full names of the columns of the recipe's sources."""
        return tuple(name for entry in self.entries for name in entry.full_names)


def build(path: Path, out: Path, seed: int, data_dir: Path, listener: ProgressListener) -> Built:
    """The basis of the recipe ``path`` in the new folder ``out``, its guard tuned with ``seed``.

    Judges keep what they said in ``data_dir``, so that a build that was interrupted pays for none of it again.
    Raises InvalidInput for a recipe that cannot be built, SourceFailed where a source cannot read a pair.
    """
    require_new(out)
    recipe = read_recipe(path)
    with opening(data_dir) as openers:
        ground = _ground(recipe, openers)
        columns = _columns(ground, listener)
    write_folder(out, lambda folder: _write(folder, ground, columns, seed, data_dir, listener))
    return _report(out, ground, len(columns))


def _columns(ground: Ground, listener: ProgressListener) -> dict[str, Tensor]:
    """The columns (F,) of all pairs, by digest."""
    reading = ground.artifact.basis.reading
    pairs = {
        pair.digest: replace(pair, response=reading.of_text(pair.response))
        for pair in (*ground.bank_pairs, *ground.reference.pairs)
    }
    asked = ", ".join(entry.name for entry in ground.entries)
    listener.say(f"{len(pairs)} pairs are read by each source: {asked or 'none but those of the basis'}")
    return dict(zip(pairs, _read(tuple(pairs.values()), ground.sources, listener), strict=True))


def _ground(recipe: Recipe, openers: Mapping[str, Opener]) -> Ground:
    included = recipe.include
    folder = DEFAULT if included is None or included == SHIPPED else Path(included)
    artifact = open_artifact(folder)
    opened = [openers[source.kind](source.settings) for source in recipe.sources]
    entries = tuple(map(_entry, recipe.sources, opened))
    if taken := {entry.name for entry in artifact.sources} & {entry.name for entry in entries}:
        raise InvalidInput(f"sources {', '.join(sorted(taken))} are in the basis already; give them other names")
    bank = artifact.bank if recipe.bank is None else load_bank(recipe.bank)
    return Ground(
        recipe=recipe,
        folder=folder,
        artifact=artifact,
        sources=(*sources_of(artifact, Reading(open_encoder(artifact, folder).encode), openers), *opened),
        entries=entries,
        bank=bank,
        reference=reference_of_bank(bank) if recipe.reference is None else read_reference(recipe.reference),
    )


def _entry(said: SourceRecipe, source: Source) -> SourceEntry:
    return SourceEntry(said.name, said.kind, source.version, source.names, said.settings)


def _read(pairs: Sequence[Pair], sources: Sequence[Source], listener: ProgressListener) -> Tensor:
    """The columns (n, F) of all sources."""
    listener.stage("reading pairs")
    blocks = []
    for start in range(0, len(pairs), BLOCK):
        blocks.append(asyncio.run(columns_of(pairs[start : start + BLOCK], sources)))
        listener.progress(min(start + BLOCK, len(pairs)), len(pairs))
    return torch.cat(blocks)


def _write(
    folder: Path, ground: Ground, columns: dict[str, Tensor], seed: int, data_dir: Path, listener: ProgressListener
) -> None:
    basis = _basis(ground, columns)
    included = ground.recipe.include is not None
    population = with_heads(ground.artifact.population if included else None, ground.recipe.heads)
    reference = ground.reference
    rows = {
        "reference": basis.phi(_rows(columns, reference.pairs)).unflatten(0, (reference.prompts, reference.responses)),
        "bank_phi": basis.phi(_rows(columns, ground.bank_pairs)),
    }
    card = ground.artifact.card
    entries: dict[str, Any] = {
        "population": {**card.get("population", {}), **population_entry(basis.names, population)},
        "reference": _described(reference),
        "bank_answers": [answer.id for prompt in ground.bank.prompts for answer in prompt.answers],
        "sources": [*card.get("sources", ()), *map(asdict, ground.entries)],
        **({} if included else {"data": [], "metrics": {}, "limits": []}),
    }
    save_with_heads(ground.folder, folder, basis, population, rows, entries, ground.recipe.bank)
    if not bool(population.covariance.any()):
        listener.say("no head is personal, so there is nothing to guard: the budget stays as it is")
        return
    listener.stage("tuning the guard")
    tuning.write(tuning.tune(folder, PEOPLE, FLATTERERS, seed, data_dir), folder)


def _basis(ground: Ground, columns: dict[str, Tensor]) -> Basis:
    names, reference = ground.new_columns, ground.reference
    require_columns(ground.recipe.heads, names)
    first = ground.artifact.basis.weights.shape[1]
    own = _rows(columns, reference.pairs)[:, first:].unflatten(0, (reference.prompts, reference.responses))
    base = ground.artifact.basis
    return extended(without_heads(base) if ground.recipe.include is None else base, ground.recipe.heads, names, own)


def _rows(columns: dict[str, Tensor], pairs: Sequence[Pair]) -> Tensor:
    return torch.stack([columns[pair.digest] for pair in pairs])


def _described(reference: Reference) -> dict[str, int | str]:
    said = digest("".join(pair.digest for pair in reference.pairs))
    return {"prompts": reference.prompts, "responses_per_prompt": reference.responses, "texts_sha256": said}


def _report(out: Path, ground: Ground, pairs: int) -> Built:
    artifact = load_artifact(out)
    new = artifact.basis.k - len(ground.recipe.heads)
    units = zip(artifact.basis.mean[new:].tolist(), artifact.basis.spread[new:].tolist(), strict=True)
    return Built(
        folder=str(out),
        basis_version=artifact.basis.version,
        population_version=artifact.population_version,
        pairs=pairs,
        sources=ground.entries,
        heads=tuple(
            NewHead(head.name, mean, spread, head.aggregate, head.std, head.protected)
            for head, (mean, spread) in zip(ground.recipe.heads, units, strict=True)
        ),
        divergence=artifact.budget["divergence"],
        starc=artifact.budget["starc"],
    )
