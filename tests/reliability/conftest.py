"""A service in a process of its own, and a disk of its own."""

import os
import shutil
import subprocess
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


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "keel-test", str(place)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mounting, check=False).returncode != 0:
        pytest.skip("only root may mount a disk here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
