"""The store that the settings name: whatever needs one gets it here and sees the ``Store`` protocol alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.settings import Settings
from app.storage.private import private_folder
from app.storage.sqlite_store import SqliteStore
from app.storage.store import Store, VisitLimits


def open_store(settings: Settings) -> Store:
    """The store in the data folder, made or narrowed to its owner; ``Store.open`` comes before anything else."""
    private_folder(settings.database.parent)
    return SqliteStore(settings.database, VisitLimits(settings.visit_hours, settings.max_visits))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """The store, open for the time of a command; a service may be running on it."""
    store = open_store(settings)
    try:
        await store.open()
        yield store
    finally:
        await store.close()
