"""The one way to a store: what the settings name, seen as ``Store``."""

from pathlib import Path

import pytest
from source_tree import imported_names, modules

from app.settings import Settings
from app.storage.opening import open_store, opened
from app.storage.store import PersonKey

ROOT = Path(__file__).parents[2]
PENDING = {"app.jobs.calibrating", "app.jobs.collected"}
"""They still build a store of their own, which they never open or migrate."""
ADA = PersonKey("local", "ada")


def test_only_storage_knows_sqlite() -> None:
    known = modules(ROOT, ["app"])
    named = {module: [name for name in imported_names(path) if "sqlite" in name] for module, path in known.items()}
    outside = {module for module, names in named.items() if names and not module.startswith("app.storage.")}
    assert outside <= PENDING
    assert named["app.storage.opening"], "the rule is checked on names that are there"


async def test_a_store_lies_in_the_data_folder_and_makes_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    async with opened(settings) as store:
        created = await store.visit(ADA)
    assert settings.database.is_file()
    async with opened(settings) as again:
        assert await again.find([ADA]) == [created]


async def test_a_store_is_closed_when_its_command_fails(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    async def failing() -> None:
        async with opened(settings) as store:
            await store.visit(ADA)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    journal = settings.database.with_name("keel.db-wal")
    assert not journal.exists(), "the last connection to be closed takes the journal with it"


def test_nothing_is_written_before_a_store_is_opened(tmp_path: Path) -> None:
    open_store(Settings(data_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []
