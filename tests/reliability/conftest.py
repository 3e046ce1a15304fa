"""A service in a process of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Process


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts services on folders, by default one of this test, and ends them."""
    running: list[Process] = []

    def start(folder: Path | None = None, *flags: str, **environment: str) -> Process:
        place = folder or tmp_path / "data"
        place.mkdir(exist_ok=True)
        process = Process(place, *flags, **environment)
        running.append(process)
        process.start()
        return process

    yield start
    for process in running:
        process.close()
