"""Databases of earlier versions, kept as files, and what those versions replied about them."""

import gzip
import json
import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.profiles.artifact_history import unpacked
from reward_bases.artifact import Artifact

FOLDER = Path(__file__).parent / "databases"
RELATIVE = 1e-8
"""The last bits of a fit differ between processors and between orders of the same sums."""
ROUNDED = {"binding"}
"""Where a band moved a head exactly to its bound, the last bit decides between ``none`` and ``band``."""


@dataclass(frozen=True)
class OldDatabase:
    """A fresh copy in ``folder``; ``said`` holds keys, open questions, and its version's replies by tenant and path."""

    folder: Path
    said: dict[str, Any]
    artifact: Artifact

    @property
    def file(self) -> Path:
        return self.folder / "keel.db"

    def key(self, tenant: str) -> dict[str, str]:
        """Headers with a tenant's key."""
        return {"X-API-Key": self.said["keys"][tenant]}


def old_database(version: str, folder: Path) -> OldDatabase:
    """The database ``keel_VERSION`` copied into ``folder``, and the artifact that was served on it."""
    name = f"keel_{version.replace('.', '_')}"
    file = folder / "keel.db"
    file.write_bytes(gzip.decompress((FOLDER / f"{name}.db.gz").read_bytes()))
    with closing(sqlite3.connect(file)) as db:
        (files,) = db.execute("select files from served order by served_at desc limit 1").fetchone()
    return OldDatabase(folder, json.loads((FOLDER / f"{name}.json").read_text()), unpacked(files))


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where ``new`` says otherwise than ``old``; it may have more fields."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [f"{path}/{name} is missing" for name in old if name not in new]
        both = [(name, old[name], new[name]) for name in old if name in new and name not in ROUNDED]
        return gone + [line for name, a, b in both for line in differences(a, b, f"{path}/{name}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        rows = enumerate(zip(old, new, strict=True))
        return [line for i, (a, b) in rows for line in differences(a, b, f"{path}/{i}")]
    if isinstance(old, float) and isinstance(new, int | float):
        return [] if math.isclose(old, new, rel_tol=RELATIVE, abs_tol=RELATIVE) else [f"{path}: {old} is {new}"]
    return [] if old == new else [f"{path}: {old!r} is {new!r}"]
