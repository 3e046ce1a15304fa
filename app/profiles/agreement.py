"""The agreement bands of an artifact: directions and limit from its ``guard.json``, corrections from its population."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from reward_bases.artifact import Artifact
from reward_bases.probes import STRATA
from safeguards.band import Band
from safeguards.stance import Stance

COUNTERWEIGHT = "agreement"
"""The protected head of explicit agreement, which the band may lower."""


def bands_of(artifact: Artifact) -> tuple[Band, ...]:
    """One band per stratum; inactive where the artifact was never tuned or its probes saw nothing."""
    return tuple(_band(artifact, stratum, artifact.agreement.get(stratum)) for stratum in STRATA)


def counterweight(artifact: Artifact) -> Tensor:
    """Bool (K,): the head that the bands use as counterweight, where the basis has it."""
    heads = artifact.basis.heads
    return torch.tensor([head.name == COUNTERWEIGHT and head.protected for head in heads])


def described(stance: Stance, limit: float) -> dict[str, Any]:
    """The entry of a stratum in ``guard.json``."""
    return {**asdict(stance), "direction": stance.direction.tolist(), "active": stance.active, "limit": limit}


def _band(artifact: Artifact, stratum: str, entry: Mapping[str, Any] | None) -> Band:
    covariance = artifact.population.covariance
    if entry is None:
        nothing = torch.zeros(artifact.basis.k, dtype=torch.float64)
        return Band.of(stratum, nothing, covariance, counterweight(artifact), limit=1.0, active=False)
    direction = torch.tensor(entry["direction"], dtype=torch.float64)
    return Band.of(stratum, direction, covariance, counterweight(artifact), entry["limit"], entry["active"])
