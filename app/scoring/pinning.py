"""Scoring under what a request pins: a profile version implies basis, population, choice model and guard."""

from collections.abc import Sequence

from app.profiles.artifact_history import ArtifactHistory
from app.schemas.ranking import PickedReply, RankReply, RankRequest
from app.schemas.scoring import CompareReply, CompareRequest, MaskedReply, ScoreReply, ScoreRequest
from app.scoring.engine import Engine
from app.scoring.scoring import Scoring
from app.settings import Settings
from app.storage.store import Store


class PinnedScoring:
    """The verbs of Scoring, each under what the request's versions belong to; unpinned, under what is served."""

    def __init__(self, settings: Settings, store: Store, engine: Engine, archive: ArtifactHistory) -> None:
        self._settings, self._store, self._engine, self._history = settings, store, engine, archive
        self._under = {archive.served.digest: Scoring(settings, store, engine, archive.served)}

    async def score(self, tenant_id: str, request: ScoreRequest, people: Sequence[str | None]) -> ScoreReply:
        return await (await self._of(request)).score(tenant_id, request, people)

    async def masked(
        self, tenant_id: str, request: ScoreRequest, people: Sequence[str | None]
    ) -> ScoreReply | MaskedReply:
        return await (await self._of(request)).masked(tenant_id, request, people)

    async def rank(self, tenant_id: str, request: RankRequest, user_id: str | None) -> RankReply:
        return await (await self._of(request)).rank(tenant_id, request, user_id)

    async def pick(self, tenant_id: str, request: RankRequest, user_id: str | None) -> PickedReply:
        return await (await self._of(request)).pick(tenant_id, request, user_id)

    async def compare(self, tenant_id: str, request: CompareRequest, user_id: str | None) -> CompareReply:
        return await (await self._of(request)).compare(tenant_id, request, user_id)

    async def _of(self, request: ScoreRequest | RankRequest | CompareRequest) -> Scoring:
        """Raises Gone after the deadline of a population, Conflict for what cannot be computed here."""
        pinned = [] if request.profile_version is None else [request.profile_version]
        if isinstance(request, ScoreRequest):
            pinned += (request.profile_versions or {}).values()
        profiles = await self._history.profiles(pinned)
        if profiles.digest not in self._under:
            engine = self._engine.with_artifact(profiles.artifact)
            self._under[profiles.digest] = Scoring(self._settings, self._store, engine, profiles)
        return self._under[profiles.digest]
