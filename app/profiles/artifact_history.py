"""Artifacts of profile versions, present and earlier: every artifact that was served is kept in the database.

The files of an artifact are small, so a copy of the database alone can compute every profile version in it again.
"""

import asyncio
import io
import logging
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from app.errors import Conflict, Gone, StoreFailed
from app.profiles.basis import open_artifact
from app.profiles.profiles import VERSION, Profiles
from app.profiles.retiring import Retirement, require_in_force, retirement
from app.settings import Settings
from app.storage.registry import Deployment, Erasure
from app.storage.store import Person, Store, now
from reward_bases.artifact import FILES, Artifact
from reward_bases.regular import require_regular

LOG = logging.getLogger("keel")


class ArtifactHistory:
    """Finds the profiles that versions belong to: those ``served``, or earlier ones, opened once each."""

    def __init__(self, settings: Settings, store: Store, served: Profiles) -> None:
        self.served = served
        self._settings, self._store = settings, store
        self._earlier: dict[str, Profiles] = {}
        self._erasures: Sequence[Erasure] = ()
        self._outdated = False

    async def open(self, folder: Path | None) -> None:
        """Delete what is past its deadline, and keep the artifact served, which lies in ``folder``, if anywhere."""
        await self.refresh()
        await delete_retired(self._store, self._settings.erasure_days)
        if folder is not None:
            await keep(self._store, self.served, folder)

    async def refresh(self) -> None:
        """Heed everybody erased by now; the log says when the population served has to go."""
        self._erasures = await self._store.registry.erasures()
        self._outdated = False
        found = retirement(self.served.artifact, self._erasures, self._settings.erasure_days)
        if found is not None:
            LOG.warning("retirement", extra={"fields": {"detail": str(found)}})

    async def forget(self, person: Person) -> None:
        """Drop everything remembered of a person who was erased, and heed the erasure."""
        for profiles in (self.served, *self._earlier.values()):
            profiles.forget(person)
        self._outdated = True
        # The person is gone whatever fails here: the next request that needs the erasures reads them.
        with suppress(StoreFailed):
            await self.refresh()

    async def profiles(self, versions: Iterable[str] = ()) -> Profiles:
        """The artifact of the pinned ``versions``; Conflict if there are several, Gone if it is retired.

        What was never served here is left to the profiles served, which refuse it.
        """
        if self._outdated:
            await self.refresh()
        digests = {match[2] for version in versions if (match := VERSION.fullmatch(version))}
        if len(digests) > 1:
            raise Conflict(
                f"versions of {len(digests)} bases, populations or guards are pinned; send one request for each"
            )
        digest = next(iter(digests), self.served.digest)
        found = self.served if digest == self.served.digest else await self._opened(digest)
        require_in_force(found.artifact, self._erasures, self._settings.erasure_days)
        return found

    async def _opened(self, digest: str) -> Profiles:
        if digest not in self._earlier:
            files = await self._store.registry.files(digest)
            if files is None:
                if digest in {served.digest for served in await self._store.registry.served()}:
                    raise Gone(f"what {digest!r} names was retired with people who were erased; pin a newer version")
                return self.served
            self._earlier[digest] = await asyncio.to_thread(self._fitted, files, digest)
        return self._earlier[digest]

    def _fitted(self, files: bytes, digest: str) -> Profiles:
        profiles = Profiles(self._store, unpacked(files), self._settings.cache_profiles)
        if profiles.digest != digest:
            raise Conflict(
                f"what ends in {digest!r} was made by another version of keel, and this one computes it otherwise; "
                "run that version on a copy of the database"
            )
        return profiles


async def keep(store: Store, served: Profiles, folder: Path) -> None:
    """Put what is served in force, with the artifact in ``folder``, unless it is already."""
    history = await store.registry.served()
    if history and history[-1].digest == served.digest:
        return
    artifact = served.artifact
    entry = Deployment(served.digest, artifact.basis.version, artifact.population_version, now())
    await store.registry.serve(entry, await asyncio.to_thread(packed, folder))


async def delete_retired(store: Store, days: int) -> None:
    """Delete kept artifacts whose population is past its deadline."""
    for digest, found in await retirements(store, days):
        if found.due:
            await store.registry.retire(digest, now())


async def retirements(store: Store, days: int) -> list[tuple[str, Retirement]]:
    """Which kept artifacts have to go, by the digest of what was served with them."""
    erasures, found = await store.registry.erasures(), []
    for served in await store.registry.served() if erasures else ():
        files = await store.registry.files(served.digest)
        going = files and retirement(await asyncio.to_thread(unpacked, files), erasures, days)
        if going:
            found.append((served.digest, going))
    return found


def packed(folder: Path) -> bytes:
    """The files that decide rewards; whatever else lies in the folder (people, encoders, links) stays out."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (folder / name for name in sorted(FILES)):
            require_regular(path)
            archive.write(path, path.name)
    return content.getvalue()


def unpacked(files: bytes) -> Artifact:
    """The artifact of such files."""
    with tempfile.TemporaryDirectory(prefix="keel-") as folder:
        zipfile.ZipFile(io.BytesIO(files)).extractall(folder, FILES)
        return open_artifact(Path(folder))
