"""A person's own view: profile, export, erasure."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from app.people.asking import Asking
from app.people.export_shape import Shape
from app.people.exporting import Row, rows
from app.profiles.artifact_history import ArtifactHistory
from app.profiles.profiles import Profile, require_person
from app.schemas.people import BandReply, ExportReply, GuardReply, HeadReply, ProfileReply, StatementReply
from app.storage.store import PersonKey, Store
from elicitation.explain import explain
from reward_bases.artifact import Artifact


class People:
    """Reads and removes what is held about one person."""

    def __init__(self, store: Store, archive: ArtifactHistory, asking: Asking) -> None:
        self._store, self._history, self._asking = store, archive, asking

    async def profile(self, key: PersonKey, version: str | None) -> ProfileReply:
        """The profile now, or the one pinned."""
        person = await require_person(self._store, key)
        if version is None:
            profiles = self._history.served
            profile = await profiles.of(person)
        else:
            profiles = await self._history.profiles([version])
            profile = await profiles.pinned(person, version)
        return ProfileReply(
            user_id=key.user_id,
            version=profile.version,
            answered=len(profile.answers),
            heads=_heads(profile, profiles.artifact),
            statements=await asyncio.to_thread(_statements, profile, profiles.artifact),
            guard=_guard(profile),
        )

    async def export(self, key: PersonKey) -> ExportReply:
        """Everything held about a person."""
        async with self._asking.turn(key):
            person = await require_person(self._store, key)
            questions, log = await self._store.questions(key), await self._store.log(key)
            ratings, profile = await self._store.anchor_ratings(key), await self.profile(key, None)
        return ExportReply(
            user_id=key.user_id,
            created_at=person.created_at,
            questions=questions,
            answers=log,
            anchors=ratings,
            appeals=list(await self._store.appeals.of_person(key.tenant_id, key.user_id)),
            rankings=list(await self._store.traffic.of_person(key.tenant_id, key.user_id)),
            profile=profile,
        )

    async def rows(self, key: PersonKey, shape: Shape) -> list[Row]:
        """The person's answers as rows for a trainer."""
        await require_person(self._store, key)
        return rows(shape, await self._store.questions(key), await self._store.log(key))

    async def erase(self, key: PersonKey) -> None:
        """Remove every trace of a person from the storage and from memory."""
        async with self._asking.turn(key):
            person = await require_person(self._store, key)
            await self._store.erase(key)
            await self._history.forget(person)


def _heads(profile: Profile, artifact: Artifact) -> list[HeadReply]:
    columns = (
        artifact.basis.names,
        profile.posterior.mean.tolist(),
        profile.posterior.covariance.diagonal().clamp_min(0).sqrt().tolist(),
        artifact.population.mean.tolist(),
        profile.guarded.coefficients.tolist(),
    )
    return [
        HeadReply(name=name, mean=mean, std=std, aggregate=aggregate, guarded=guarded)
        for name, mean, std, aggregate, guarded in zip(*columns, strict=True)
    ]


def _statements(profile: Profile, artifact: Artifact) -> list[StatementReply]:
    question_ids: Sequence[str] = [answer.question_id for answer in profile.answers]
    statements = explain(
        profile.posterior,
        artifact.population,
        artifact.basis.phrases,
        artifact.basis.protected,
        profile.evidence,
        question_ids,
        artifact.choice_model,
    )
    return [StatementReply(text=s.text, confidence=s.confidence, because=s.because) for s in statements]


def _guard(profile: Profile) -> GuardReply:
    guard = profile.guarded.guard
    return GuardReply(
        alpha=guard.alpha,
        divergence_max=guard.divergence_max,
        divergence_p95=guard.divergence_p95,
        budget=asdict(guard.budget),
        starc=guard.starc,
        band={name: BandReply(**asdict(report)) for name, report in guard.band.items()},
        binding=guard.binding,
    )
