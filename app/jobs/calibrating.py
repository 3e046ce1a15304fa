"""``keel calibrate``: are the service's predicted choices right for other people's judgments, and may that be said?

Of every person up to ANSWERS judgments, at most half, are read as answers; their other judgments are predicted as
``/v1/compare`` would, with guarded coefficients. A tie says nothing about which of two is preferred and is left out.
The distance of a pair is that of its farther response from the reference: √(φᵀS⁻¹φ).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from app.profiles.basis import open_artifact, open_encoder
from app.sources.opening import opening
from elicitation.choice import OUTCOMES, Choice
from elicitation.errors import InvalidInput
from elicitation.posterior import Evidence
from elicitation.predict import predict
from reward_bases.artifact import Artifact
from reward_bases.artifact_sources import sources_of
from reward_bases.sources.embedding import Reading
from reward_bases.sources.phi import phi_of
from reward_bases.sources.source import Pair, Source
from reward_bases.train.data.judgments import NOBODY
from reward_bases.train.data.reading import Data, read
from reward_bases.train.features.vectors import VectorCache
from safeguards.calibration import Forecasts, Recalibration, recalibrated
from safeguards.domain import Domain
from safeguards.person import PersonModel
from safeguards.release import Release, Verdict, release

ANSWERS = 10
COHORTS = ("1–4 answers", "5+ answers")
FEW = 5
BLOCK = 512


@dataclass(frozen=True)
class Calibrated:
    """The gate's verdict on what is served, and what recalibration would make of the same forecasts."""

    data: str
    basis_version: str
    population_version: str
    release: Release
    recalibrated: Mapping[str, Mapping[str, float]]

    @property
    def passed(self) -> bool:
        return self.release.verdict is Verdict.PASS


def calibrate(data: Path, basis: Path | None, cache: Path, margin: float, people: int, seed: int) -> Calibrated:
    """Measure on at most ``people`` people of a file as ``keel train`` reads it, drawn by ``seed``."""
    judged = read(data, seed)
    if judged.table is not None or bool((judged.right == NOBODY).any()):
        raise InvalidInput(f"{data.name} holds {judged.kind}; calibration needs choices between two texts")
    artifact = open_artifact(basis)
    vectors = VectorCache(open_encoder(artifact, basis), cache)
    rows = _drawn(judged, people, seed)
    with opening(cache) as openers:
        phi = _phi(judged, rows, artifact, sources_of(artifact, Reading(vectors.of), openers))
    found = _forecasts(judged, rows, artifact, phi)
    reference = artifact.reference.flatten(0, 1)
    trained = Domain.of(artifact.reference).distances(reference)
    verdict = release(found, trained, margin, torch.Generator().manual_seed(seed))
    maps = {"served": found} | {how.value: recalibrated(found, how, seed) for how in Recalibration}
    return Calibrated(
        data=data.name,
        basis_version=artifact.basis.version,
        population_version=artifact.population_version,
        release=verdict,
        recalibrated={name: _figures(forecasts) for name, forecasts in maps.items()},
    )


def _drawn(judged: Data, people: int, seed: int) -> list[Tensor]:
    """The judgments (n,) of each of at most ``people`` people who made two or more."""
    counts = torch.bincount(judged.people)
    able = (counts >= 2).nonzero().flatten()
    drawn = able[torch.randperm(len(able), generator=torch.Generator().manual_seed(seed))[:people]]
    if not len(drawn):
        raise InvalidInput("nobody made 2 judgments; calibration reads some of a person's and predicts the others")
    starts = counts.cumsum(0) - counts
    return [torch.arange(int(starts[person]), int(starts[person] + counts[person])) for person in drawn.tolist()]


def _phi(judged: Data, rows: Sequence[Tensor], artifact: Artifact, sources: Sequence[Source]) -> Mapping[int, Tensor]:
    """φ (K,) of the items that the judgments ``rows`` are about."""
    every = torch.cat(list(rows))
    items = torch.cat([judged.left[every], judged.right[every]]).unique()
    basis, found = artifact.basis, dict[int, Tensor]()
    for block in items.split(BLOCK):
        pairs = [Pair(judged.conversations[x], judged.responses[y]) for x, y in judged.items[block].tolist()]
        found |= dict(zip(block.tolist(), asyncio.run(phi_of(pairs, basis, sources)).phi, strict=True))
    return found


def _forecasts(judged: Data, rows: Sequence[Tensor], artifact: Artifact, phi: Mapping[int, Tensor]) -> Forecasts:
    model, domain = PersonModel.of(artifact), Domain.of(artifact.reference)
    sides = [
        tuple(torch.stack([phi[item] for item in side[own].tolist()]) for side in (judged.left, judged.right))
        for own in rows
    ]
    choices = [[OUTCOMES[c] for c in judged.outcomes.column[own].tolist()] for own in rows]
    observed = [min(ANSWERS, len(own) // 2) for own in rows]
    forecasts = _chances(model, [left - right for left, right in sides], choices, observed)
    chances, happened, owners, cohorts, distances = [], [], [], [], []
    for person, (chance, known) in enumerate(zip(forecasts, observed, strict=True)):
        column = judged.outcomes.column[rows[person]][known:]
        decided = column != OUTCOMES.index(Choice.SAME)
        chances.append(chance[decided])
        happened.append(column[decided] == OUTCOMES.index(Choice.LEFT))
        far = torch.maximum(*(domain.distances(side) for side in sides[person]))[known:]
        distances.append(far[decided])
        owners += [person] * int(decided.sum())
        cohorts += [COHORTS[known >= FEW]] * int(decided.sum())
    parts = (torch.cat(chances), torch.cat(happened), torch.tensor(owners), tuple(cohorts), torch.cat(distances))
    return Forecasts(*parts)


def _chances(
    model: PersonModel, differences: Sequence[Tensor], choices: Sequence[Sequence[Choice]], observed: Sequence[int]
) -> list[Tensor]:
    """Per person the chance of left over right for every difference after the first ``observed``, read as answers."""
    answers = [
        Evidence(own[:known], tuple(said[:known]), (None,) * known)
        for own, said, known in zip(differences, choices, observed, strict=True)
    ]
    unbiased, chances = replace(model.choice_model, side_bias=0.0), []
    for fitted, own, known in zip(model.fit(answers), differences, observed, strict=True):
        p = predict(fitted.served, unbiased, own[known:])
        chances.append(p[:, 0] / (p[:, 0] + p[:, 2]))
    return chances


def _figures(forecasts: Forecasts) -> dict[str, float]:
    everybody = torch.ones(1, forecasts.people, dtype=torch.float64)
    return {
        "ece": float(forecasts.calibration_errors(everybody)),
        "brier": forecasts.brier,
        "brier_skill": forecasts.brier_skill,
    }
