"""Audits: everybody's served coefficients at one moment, measured against the aggregate and kept by content hash.

The snapshot is the length of every person's log, read at once: later answers do not enter. A report names nobody. A
person who has answered nothing is served the aggregate itself and is left out, so that visitors cannot make the
averages look better.
"""

import asyncio
from collections.abc import Sequence
from itertools import chain

import torch

from app.audit.loop import TRUTH, audited_loop
from app.audit.material import Subject, judged_pairs, predictions, served_coefficients
from app.audit.own_audit import own_audit
from app.audit.probes import AuditProbes
from app.audit.trend import HISTORY, changes, trends
from app.profiles.profiles import Profile, Profiles, require_person
from app.schemas.audits import AuditReply, OwnAuditReply
from app.scoring.engine import Engine
from app.scoring.traffic import Traffic
from app.settings import Settings
from app.storage.store import AuditReport, Person, PersonKey, Store, now
from reward_bases.text import digest
from safeguards.audit import Audit, Material, audit
from safeguards.audit_reference import StanceSet
from safeguards.exposure import Exposure, Ranking
from safeguards.loop.measure import Row

SEED = 20_260_801
"""Of bootstrap and nulls: equal snapshots give equal reports."""


class Auditing:
    """Makes and finds reports."""

    def __init__(self, settings: Settings, store: Store, engine: Engine, profiles: Profiles) -> None:
        self._store, self._profiles, self._smallest = store, profiles, settings.smallest_cohort
        self._probes, self._traffic = AuditProbes(engine), Traffic(settings, store)
        self._loop: tuple[Row, ...] | None = None

    async def run(self, tenant_id: str) -> AuditReply:
        """Measure now and store the report."""
        people = await self._store.people(tenant_id)
        answered = [person for person in people if person.position]
        profiles = await self._profiles.each([(person, None) for person in answered])
        subjects = [
            await self._subject(person, profile)
            for person, profile in zip(answered, profiles, strict=True)
            if profile.answers
        ]
        rankings = await self._traffic.rankings(tenant_id, self._profiles.artifact.basis.version)
        measured = await asyncio.to_thread(
            self._measured, subjects, rankings, await self._probes.sets(), _state(people)
        )
        report = AuditReport(measured.content_hash, now(), measured.to_dict())
        await self._store.add_audit(tenant_id, report)
        return await self._reply(tenant_id, report)

    async def stored(self, tenant_id: str, audit_id: str | None) -> AuditReply:
        """A report by its hash, or the latest."""
        return await self._reply(tenant_id, await self._store.audit(tenant_id, audit_id))

    async def own(self, key: PersonKey) -> OwnAuditReply:
        """The audit of one person, for themselves; nothing is stored."""
        profile = await self._profiles.of(await require_person(self._store, key))
        rankings = await self._store.traffic.of_person(key.tenant_id, key.user_id)
        return await asyncio.to_thread(own_audit, profile, self._profiles, list(rankings))

    async def _subject(self, person: Person, profile: Profile) -> Subject:
        questions = {question.question_id: question for question in await self._store.questions(person.key)}
        return Subject(profile, questions)

    async def _reply(self, tenant_id: str, report: AuditReport) -> AuditReply:
        history = await self._store.audits(tenant_id, HISTORY)
        earlier = [one for one in history if one.created_at < report.created_at]
        return AuditReply(
            audit_id=report.audit_id,
            created_at=report.created_at,
            report=report.report,
            trends=trends([*earlier, report]),
            changes=changes(earlier[-1], report) if earlier else [],
        )

    def _measured(
        self, subjects: Sequence[Subject], rankings: Sequence[Ranking], probes: Sequence[StanceSet], state: str
    ) -> Audit:
        profiles, artifact = self._profiles, self._profiles.artifact
        names, mean = artifact.basis.names, artifact.population.mean
        truth = names.index(TRUTH) if TRUTH in names else None
        if self._loop is None:
            self._loop = audited_loop(artifact)
        exposure = Exposure.of(rankings, mean, profiles.policy.reference, truth or 0) if rankings else None
        beliefs = [(subject.profile.posterior.mean, subject.profile.posterior.covariance) for subject in subjects]
        material = Material(
            served=served_coefficients(subjects, profiles, truth),
            probes=probes,
            loop=self._loop,
            traffic=exposure,
            predictions=predictions(subjects, profiles),
            beliefs=(torch.stack([m for m, _ in beliefs]), torch.stack([c for _, c in beliefs])) if beliefs else None,
            variance=float(artifact.population.covariance.trace()),
            pairs=judged_pairs(subjects, artifact),
        )
        versions = {
            "basis": artifact.basis.version,
            "population": artifact.population_version,
            "profiles": profiles.digest,
            "answers": state,
            "traffic": digest(" ".join(ranking.candidates for ranking in rankings)),
        }
        return audit(material, versions, torch.Generator().manual_seed(SEED), self._smallest)


def _state(people: Sequence[Person]) -> str:
    """Digest of every log's length: names the snapshot and nobody in it."""
    parts = chain.from_iterable((person.person_uid, str(person.position)) for person in people)
    return digest(" ".join(parts))
