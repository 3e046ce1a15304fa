"""The stance probes of an audit: φ of those strata in which a held-out probe is above chance; the rest is blind."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from app.scoring.engine import Engine
from reward_bases.probes import STRATA, Stratum, load_probes, probe_rows
from safeguards.audit_reference import StanceSet
from safeguards.stance import Stance

UNTRIED = "no stance probe was tried on this basis; keel guard tune does"


class AuditProbes:
    """Reads the probes with the service's own sources, once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sets: tuple[StanceSet, ...] | None = None

    async def sets(self) -> tuple[StanceSet, ...]:
        """One per stratum."""
        if self._sets is None:
            told = {stratum: blindness(self._engine.artifact.agreement.get(stratum)) for stratum in STRATA}
            seen = [stratum for stratum in STRATA if not told[stratum]]
            differences = await self._differences() if seen else {}
            self._sets = tuple(StanceSet(s, told[s], *differences.get(s, (None, None))) for s in STRATA)
        return self._sets

    async def _differences(self) -> dict[Stratum, tuple[Tensor, Tensor]]:
        rows = await probe_rows(load_probes(), self._engine.phi_of)
        return {stratum: (row.opinions, row.facts) for stratum, row in rows.items()}


def blindness(entry: Mapping[str, Any] | None) -> str:
    """Why a stratum's figures mean nothing, from what ``guard.json`` keeps of it; empty where they mean something."""
    if entry is None:
        return UNTRIED
    names = ("norm", "null", "auc", "auc_low", "auc_high", "questions")
    stance = Stance(torch.tensor(entry["direction"], dtype=torch.float64), **{name: entry[name] for name in names})
    if stance.conclusive:
        return ""
    return (
        f"the held-out stance probe is not above chance: AUC {stance.auc:.2f}, 95 % interval {stance.auc_low:.2f} to "
        f"{stance.auc_high:.2f}, {stance.questions} questions"
    )
