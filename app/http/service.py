"""The use cases, put together over one store and one engine; they know no HTTP."""

from dataclasses import dataclass

from app.audit.auditing import Auditing
from app.http.health import Health
from app.people.anchoring import Anchoring
from app.people.asking import Asking
from app.people.people import People
from app.profiles.artifact_history import ArtifactHistory
from app.profiles.profiles import Profiles
from app.scoring.appeals import Appeals
from app.scoring.engine import Engine
from app.scoring.pinning import PinnedScoring
from app.settings import Settings
from app.storage.keys import Keys
from app.storage.store import Store


@dataclass(frozen=True)
class Service:
    """Everything a route may call."""

    settings: Settings
    store: Store
    keys: Keys
    engine: Engine
    profiles: Profiles
    archive: ArtifactHistory
    asking: Asking
    people: People
    anchoring: Anchoring
    scoring: PinnedScoring
    appeals: Appeals
    auditing: Auditing
    health: Health

    @classmethod
    def of(cls, settings: Settings, store: Store, engine: Engine) -> "Service":
        profiles = Profiles(store, engine.artifact, settings.cache_profiles)
        archive = ArtifactHistory(settings, store, profiles)
        asking = Asking(settings, store, profiles)
        return cls(
            settings,
            store,
            Keys(store.registry, required=not settings.loopback),
            engine,
            profiles,
            archive,
            asking,
            People(store, archive, asking),
            Anchoring(settings, store, engine, profiles, asking),
            PinnedScoring(settings, store, engine, archive),
            Appeals(store.appeals, engine),
            Auditing(settings, store, engine, profiles),
            Health(store, engine),
        )
