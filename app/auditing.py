"""Audits: everybody's served coefficients at one moment, measured against the aggregate and kept by content hash.

The snapshot is the length of every person's log, read at once: later answers do not enter. A report names nobody. A
person who has answered nothing is served the aggregate itself and is left out, so that visitors cannot make the
averages look better.
"""

import asyncio
from collections.abc import Sequence
from itertools import chain

import torch

from app.profiles import Profile, Profiles
from app.schemas import AuditReply
from app.store import AuditReport, Person, Store, now
from elicitation.choice import OUTCOMES
from elicitation.predict import predict
from reward_bases.text import digest
from safeguards.audit import Audit, audit
from safeguards.metrics import Predictions

SEED = 20_260_801
"""Of bootstrap and nulls: equal snapshots give equal reports."""
EARLY_ANSWERS = 5
COHORTS = (f"answers 1 to {EARLY_ANSWERS}", f"answers after {EARLY_ANSWERS}")


class Auditing:
    """Makes and finds reports."""

    def __init__(self, store: Store, profiles: Profiles) -> None:
        self._store, self._profiles = store, profiles

    async def run(self, tenant_id: str) -> AuditReply:
        """Measure now and store the report."""
        people = await self._store.people(tenant_id)
        profiles = [await self._profiles.of(person) for person in people]
        answered = [profile for profile in profiles if profile.answers]
        measured = await asyncio.to_thread(self._measured, answered, _state(people))
        report = AuditReport(measured.content_hash, now(), measured.to_dict())
        await self._store.add_audit(tenant_id, report)
        return _reply(report)

    async def stored(self, tenant_id: str, audit_id: str | None) -> AuditReply:
        """A report by its hash, or the latest."""
        return _reply(await self._store.audit(tenant_id, audit_id))

    def _measured(self, profiles: Sequence[Profile], state: str) -> Audit:
        artifact = self._profiles.artifact
        coefficients = [profile.guarded.coefficients for profile in profiles]
        versions = {
            "basis": artifact.basis.version,
            "population": artifact.population_version,
            "profiles": self._profiles.digest,
            "answers": state,
        }
        return audit(
            artifact.population.mean,
            torch.stack(coefficients) if coefficients else torch.zeros(0, artifact.basis.k, dtype=torch.float64),
            self._profiles.reference,
            versions,
            torch.Generator().manual_seed(SEED),
            self._predictions(profiles),
            self._profiles.protected,
        )

    def _predictions(self, profiles: Sequence[Profile]) -> Predictions | None:
        """What was predicted before each answer that moves λ, beside what the aggregate predicts for it."""
        moving = [(person, row) for person, profile in enumerate(profiles) for row in profile.evidence.moving]
        if not moving:
            return None
        answers = [profiles[person].answers[row] for person, row in moving]
        differences = torch.stack([profiles[person].evidence.differences[row] for person, row in moving])
        return Predictions(
            probabilities=torch.tensor([answer.predicted for answer in answers], dtype=torch.float64),
            chosen=torch.tensor([OUTCOMES.index(answer.choice) for answer in answers]),
            person=torch.tensor([person for person, _ in moving]),
            cohorts=tuple(COHORTS[row >= EARLY_ANSWERS] for _, row in moving),
            aggregate=predict(self._profiles.aggregate.posterior, self._profiles.artifact.choice_model, differences),
        )


def _state(people: Sequence[Person]) -> str:
    """Digest of every log's length: names the snapshot and nobody in it."""
    parts = chain.from_iterable((person.incarnation, str(person.position)) for person in people)
    return digest(" ".join(parts))


def _reply(report: AuditReport) -> AuditReply:
    return AuditReply(audit_id=report.audit_id, created_at=report.created_at, report=report.report)
