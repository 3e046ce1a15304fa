"""When a population has to go: a stated number of days after somebody it was learned from was erased.

A population refitted from a service's people names them in its card by salted fingerprints of their random numbers.
Erasing a person leaves that number, so that the populations they are in are known, those not yet served too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.errors import Gone
from app.profiles.lineage import fingerprint
from app.storage.registry import Erasure
from reward_bases.artifact import Artifact

REMEDY = (
    "keel population refit --data-dir DIR --basis BASIS_WITHOUT_THEM --out NEW learns one from the others, "
    "keel migrate --basis NEW moves people to it"
)


@dataclass(frozen=True)
class Retirement:
    """A population holds answers of ``erased`` people; from ``deadline`` on it is not served."""

    population_version: str
    erased: int
    deadline: datetime

    @property
    def due(self) -> bool:
        """Whether the deadline has passed."""
        return datetime.now(UTC) >= self.deadline

    def __str__(self) -> str:
        when = "was to be retired by" if self.due else "is to be retired by"
        return (
            f"population {self.population_version} was learned with {self.erased} people who were erased since and "
            f"{when} {self.deadline:%Y-%m-%d %H:%M} UTC; {REMEDY}"
        )


def retirement(artifact: Artifact, erasures: Sequence[Erasure], days: int) -> Retirement | None:
    """When the artifact's population has to go; None while nobody in it was erased."""
    sources = artifact.card.get("learned_from", [])
    within = [erasure.erased_at for erasure in erasures if any(_holds(source, erasure) for source in sources)]
    if not within:
        return None
    first = datetime.fromisoformat(min(within))
    return Retirement(artifact.population_version, len(within), first + timedelta(days=days))


def require_in_force(artifact: Artifact, erasures: Sequence[Erasure], days: int) -> None:
    """Gone after the deadline."""
    found = retirement(artifact, erasures, days)
    if found is not None and found.due:
        raise Gone(str(found))


def _holds(source: Mapping[str, Any], erasure: Erasure) -> bool:
    same = source["service"] == erasure.tenant_id
    return same and fingerprint(source["salt"], erasure.person_uid) in source["people"]
