"""The guard policy of an artifact: everything that decides what the guard makes of a person.

The policy holds the reference set, the heads that stay at the aggregate, each head's limit, the agreement bands and the
budget. Directions and limit of a band come from the artifact's ``guard.json``, its corrections from the population.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from reward_bases.artifact import Artifact
from reward_bases.probes import STRATA
from safeguards.band import Band
from safeguards.guard import Budget, Guarded, Reference, guard
from safeguards.stance import Stance
from safeguards.trust import held_out, limits

COUNTERWEIGHT = "agreement"
"""The protected head of explicit agreement, which the band may lower."""


@dataclass(frozen=True, eq=False)
class GuardPolicy:
    """The guard's arguments that are the same for everybody.

    ``aggregate`` λ̄ (K,), nats; ``protected`` bool (K,); ``limit`` (K,), nats, is how far a head may leave λ̄.
    """

    aggregate: Tensor
    reference: Reference
    budget: Budget
    protected: Tensor
    limit: Tensor
    bands: tuple[Band, ...] = ()

    @classmethod
    def of(cls, artifact: Artifact) -> "GuardPolicy":
        """The policy that an artifact is served under; heads in which nobody differs are protected too."""
        covariance = artifact.population.covariance
        return cls(
            aggregate=artifact.population.mean,
            reference=Reference.of(artifact.reference),
            budget=Budget(**artifact.budget),
            protected=torch.tensor(artifact.basis.protected) | (covariance.diagonal() == 0),
            limit=limits(
                held_out(artifact.basis.names, artifact.card.get("metrics", {})), covariance.diagonal().sqrt()
            ),
            bands=tuple(_band(artifact, stratum, artifact.agreement.get(stratum)) for stratum in STRATA),
        )

    @property
    def banded(self) -> bool:
        """Whether any stratum's band is active."""
        return any(band.active for band in self.bands)

    def guarded(self, mean: Tensor, covariance: Tensor) -> Guarded:
        """The guard's result for a posterior with ``mean`` (K,) and ``covariance`` (K, K)."""
        held = (self.protected, self.bands, self.limit)
        return guard(self.aggregate, mean, covariance, self.reference, self.budget, *held)


def counterweight(artifact: Artifact) -> Tensor:
    """Bool (K,): the head that the bands use as counterweight, where the basis has it."""
    heads = artifact.basis.heads
    return torch.tensor([head.name == COUNTERWEIGHT and head.protected for head in heads])


def stratum_entry(stance: Stance, limit: float) -> dict[str, Any]:
    """The entry of a stratum in ``guard.json``, with the band's ``limit`` in nats."""
    return {**asdict(stance), "direction": stance.direction.tolist(), "active": stance.active, "limit": limit}


def _band(artifact: Artifact, stratum: str, entry: Mapping[str, Any] | None) -> Band:
    """The band of a stratum; inactive where the artifact was never tuned or its probes saw nothing."""
    covariance = artifact.population.covariance
    if entry is None:
        nothing = torch.zeros(artifact.basis.k, dtype=torch.float64)
        return Band.of(stratum, nothing, covariance, counterweight(artifact), limit=1.0, active=False)
    direction = torch.tensor(entry["direction"], dtype=torch.float64)
    return Band.of(stratum, direction, covariance, counterweight(artifact), entry["limit"], entry["active"])
