"""The use cases, put together over one store and one engine; they know no HTTP."""

from dataclasses import dataclass

from app.asking import Asking
from app.auditing import Auditing
from app.engine import Engine
from app.people import People
from app.profiles import Profiles
from app.scoring import Scoring
from app.settings import Settings
from app.store import Store


@dataclass(frozen=True)
class Service:
    """Everything a route may call."""

    settings: Settings
    store: Store
    engine: Engine
    profiles: Profiles
    asking: Asking
    people: People
    scoring: Scoring
    auditing: Auditing

    @classmethod
    def of(cls, settings: Settings, store: Store, engine: Engine) -> "Service":
        profiles = Profiles(store, engine.artifact, settings.cache_profiles)
        asking = Asking(settings, store, profiles)
        return cls(
            settings,
            store,
            engine,
            profiles,
            asking,
            People(store, profiles, asking),
            Scoring(settings, store, engine, profiles),
            Auditing(store, profiles),
        )
