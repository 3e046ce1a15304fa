"""A person's own view: profile, export, erasure."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from app.asking import Asking
from app.profiles import Profile, Profiles, require
from app.schemas import ExportReply, GuardReply, HeadReply, ProfileReply, StatementReply
from app.store import PersonKey, Store
from elicitation.explain import explain


class People:
    """Reads and removes what is held about one person."""

    def __init__(self, store: Store, profiles: Profiles, asking: Asking) -> None:
        self._store, self._profiles, self._asking = store, profiles, asking

    async def profile(self, key: PersonKey, version: str | None) -> ProfileReply:
        """The profile now, or the one pinned."""
        person = await require(self._store, key)
        if version is None:
            profile = await self._profiles.of(person)
        else:
            profile = await self._profiles.pinned(person, version)
        return ProfileReply(
            user_id=key.user_id,
            version=profile.version,
            answered=len(profile.answers),
            heads=self._heads(profile),
            statements=await asyncio.to_thread(self._statements, profile),
            guard=self._guard(profile),
        )

    async def export(self, key: PersonKey) -> ExportReply:
        """Everything held about a person."""
        async with self._asking.turn(key):
            person = await require(self._store, key)
            questions, log = await self._store.questions(key), await self._store.log(key)
            profile = await self.profile(key, None)
        return ExportReply(
            user_id=key.user_id, created_at=person.created_at, questions=questions, answers=log, profile=profile
        )

    async def erase(self, key: PersonKey) -> None:
        """Remove every trace of a person from the storage and from memory."""
        async with self._asking.turn(key):
            person = await require(self._store, key)
            await self._store.erase(key)
            self._profiles.forget(person)

    def _heads(self, profile: Profile) -> list[HeadReply]:
        columns = (
            self._profiles.artifact.basis.names,
            profile.posterior.mean.tolist(),
            profile.posterior.covariance.diagonal().clamp_min(0).sqrt().tolist(),
            self._profiles.artifact.population.mean.tolist(),
            profile.guarded.coefficients.tolist(),
        )
        return [
            HeadReply(name=name, mean=mean, std=std, aggregate=aggregate, guarded=guarded)
            for name, mean, std, aggregate, guarded in zip(*columns, strict=True)
        ]

    def _statements(self, profile: Profile) -> list[StatementReply]:
        artifact = self._profiles.artifact
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

    def _guard(self, profile: Profile) -> GuardReply:
        guard = profile.guarded.guard
        return GuardReply(
            alpha=guard.alpha,
            divergence_max=guard.divergence_max,
            divergence_p95=guard.divergence_p95,
            budget=asdict(guard.budget),
            starc=guard.starc,
            band=guard.band,
            binding=guard.binding,
        )
