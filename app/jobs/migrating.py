"""``keel migrate``: people move to another basis, population, choice model or guard when somebody says so.

Their answers are the truth, so moving replays them: the log does not change, and a prefix of it has one profile under
each. Earlier versions stay readable, since the database keeps their artifacts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import Conflict, Gone
from app.profiles.artifact_history import ArtifactHistory, keep
from app.profiles.basis import open_artifact
from app.profiles.profiles import Profile, Profiles, version_of
from app.profiles.retiring import require_in_force
from app.settings import Settings
from app.storage.opening import opened
from app.storage.store import Person, Store
from elicitation.errors import InvalidInput
from reward_bases.artifact import DEFAULT


@dataclass(frozen=True)
class Move:
    """One person: versions before and after, and the guarded coefficient that changes most, by ``change`` nats.

    ``head`` and ``change`` are None where the version before cannot be computed or shares no head.
    """

    tenant: str
    user_id: str
    old_version: str
    new_version: str
    head: str | None
    change: float | None


@dataclass(frozen=True)
class Migration:
    """Everybody who moves when ``new`` takes the place of ``old``."""

    old: str | None
    new: str
    people: tuple[Move, ...]


async def migrate(settings: Settings, write: bool) -> Migration:
    """Changes per person under the basis of the settings; with ``write`` services start with it from now on.

    Raises InvalidInput where there is no database and Conflict where the basis has no φ of what somebody was asked.
    """
    settings.require_database()
    async with opened(settings) as store:
        new = Profiles(store, open_artifact(settings.basis), settings.cache_profiles)
        migration = await _planned(settings, store, new)
        if write:
            await keep(store, new, settings.basis or DEFAULT)
        return migration


async def require_servable(settings: Settings, served: Profiles) -> None:
    """Raises Gone for a population past its deadline, InvalidInput when people were not moved to what is served."""
    async with opened(settings) as store:
        require_in_force(served.artifact, await store.registry.erasures(), settings.erasure_days)
        await _require_migrated(settings, store, served)


async def _require_migrated(settings: Settings, store: Store, served: Profiles) -> None:
    """InvalidInput while people who have answered belong to something else than what is to be served."""
    history = await store.registry.served()
    if not history or history[-1].digest == served.digest:
        return
    concerned = len(await _answered(store))
    if concerned:
        basis = "" if settings.basis is None else f" --basis {settings.basis}"
        raise InvalidInput(
            f"{concerned} people have profiles of {history[-1].digest!r}, and what is to be served gives them "
            f"others, {served.digest!r}; keel migrate --data-dir {settings.data_dir}{basis} shows the change and moves "
            "them, or serve what was served before"
        )


async def _planned(settings: Settings, store: Store, new: Profiles) -> Migration:
    history = await store.registry.served()
    old = history[-1].digest if history else None
    before = None if old is None else await _before(settings, store, new, old)
    moves = []
    for person in await _answered(store) if old != new.digest else ():
        profile = await new.of(person)
        earlier = None if before is None else await before.of(person)
        head, change = _change(_coefficients(before, earlier), _coefficients(new, profile))
        version = version_of(person, person.position, old or "unknown")
        moves.append(Move(person.key.tenant_id, person.key.user_id, version, profile.version, head, change))
    return Migration(old, new.digest, tuple(moves))


async def _before(settings: Settings, store: Store, new: Profiles, digest: str) -> Profiles | None:
    """None where what was served before cannot be computed any more."""
    archive = ArtifactHistory(settings, store, new)
    await archive.refresh()
    try:
        return await archive.profiles([f"0-{digest}"])
    except (Conflict, Gone):
        return None


async def _answered(store: Store) -> list[Person]:
    """Everybody with a log, in every tenant."""
    tenants = await store.registry.tenants()
    return [person for tenant in tenants for person in await store.people(tenant) if person.position]


def _coefficients(profiles: Profiles | None, profile: Profile | None) -> Mapping[str, float]:
    if profiles is None or profile is None:
        return {}
    return dict(zip(profiles.artifact.basis.names, profile.guarded.coefficients.tolist(), strict=True))


def _change(old: Mapping[str, float], new: Mapping[str, float]) -> tuple[str | None, float | None]:
    """The head shared by both whose coefficient differs most, and by how much."""
    changes = {name: new[name] - old[name] for name in old if name in new}
    head = max(changes, key=lambda name: abs(changes[name]), default=None)
    return head, None if head is None else changes[head]
