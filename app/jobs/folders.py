"""Folders that are written whole or not at all."""

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from elicitation.errors import InvalidInput


def require_new(out: Path | None) -> None:
    if out is not None and out.exists():
        raise InvalidInput(f"{out} exists; name a folder with --out that does not")


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write a folder; it takes the place of ``target`` when it is whole."""
    place = target.resolve()
    unfinished, old = (place.with_name(f".{place.name}.{secrets.token_hex(4)}") for _ in range(2))
    unfinished.mkdir(parents=True)
    try:
        fill(unfinished)
        if place.exists():
            place.rename(old)
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
