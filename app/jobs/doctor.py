"""``keel doctor``: what would keep a service from starting or make it unsafe, each with its remedy.

Nothing is changed: no folder is made, no mode narrowed, no database migrated.
"""

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from app.profiles.basis import REMEDY as PINNING
from app.profiles.basis import open_artifact, open_encoder
from app.settings import CONFIGURATION, PREFIX, Settings, configuration_file, notices
from app.storage.examining import Examined, examine
from app.storage.keys import scopes_of
from app.storage.private import BESIDE
from app.storage.registry import EVERY_SCOPE
from app.web_page import require_login
from elicitation.errors import InvalidInput, KeelError
from reward_bases.artifact import DEFAULT

OTHERS = stat.S_IRWXG | stat.S_IRWXO
LITTLE, TOO_LITTLE = 2**30, 100 * 2**20
"""Bytes of free disk below which there is a warning, and a fault."""
EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""No service of this kind ran before; a clock that says so was not set."""
SOON = timedelta(days=7)
NARROWER = "make keys with keel key create --scope …, then keel key revoke ID; docs/security.md lists what each may do"
RENEWED = "make others with keel key create --expires …, and give them to their clients"

Status = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """What was found of one part, and what to do about it; a ``remedy`` stands wherever the status is not ok."""

    part: str
    status: Status
    found: str
    remedy: str = ""


def examined(settings: Settings) -> list[Finding]:
    """All findings, in a fixed order."""
    store = examine(settings.database) if settings.database.is_file() else None
    parts: tuple[Callable[[], Iterator[Finding]], ...] = (
        configuration,
        lambda: login(settings, store),
        lambda: keys(store),
        lambda: permissions(settings),
        lambda: stored(settings, store),
        lambda: clock(store),
        lambda: disk(settings),
        lambda: basis(settings),
    )
    return [finding for part in parts for finding in part()]


def report(findings: list[Finding]) -> dict[str, Any]:
    """One object: ``ok`` unless there is a fault, and the findings."""
    return {"ok": all(one.status != "fault" for one in findings), "findings": [asdict(one) for one in findings]}


def configuration() -> Iterator[Finding]:
    """The file and the variables in force; their values stay out, since one may be a key."""
    read = configuration_file()
    variables = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
    named = ", ".join(variables) or f"no {PREFIX} variable"
    yield Finding("configuration", "ok", f"{read or 'no file'}; {named}")
    for notice in notices():
        yield Finding("configuration", "warning", notice, f"see docs/settings.md; {CONFIGURATION} names a file")
    if read is not None and stat.S_IMODE(read.stat().st_mode) & OTHERS:
        yield Finding("configuration", "warning", f"others may read {read}, which may hold a key", f"chmod 600 {read}")


def login(settings: Settings, store: Examined | None) -> Iterator[Finding]:
    """Whether people can log in to the web page, and nobody else reads the provider's secrets.

    A page that cannot start is a warning where the service may be meant to have none.
    """
    file, known = settings.oidc_file, store.keys if store else ()
    try:
        require_login(settings, bool(known), scopes_of(settings.key, known))
    except InvalidInput as error:
        status: Status = "fault" if settings.login == "oidc" else "warning"
        yield Finding("login", status, str(error), "docs/operations.md shows each way to log in")
        return
    if settings.login == "oidc" and file is not None and stat.S_IMODE(file.stat().st_mode) & OTHERS:
        yield Finding("login", "fault", f"others may read {file}, which holds secrets", f"chmod 600 {file}")
    else:
        yield Finding("login", "ok", f"people log in to the web page by {settings.login}")


def keys(store: Examined | None) -> Iterator[Finding]:
    """Keys that may do more than they need, and those that end soon."""
    now = datetime.now(UTC)
    valid = [key for key in (store.keys if store else ()) if key.valid(now.isoformat())]
    made = [key for key in valid if key.made_by is None]
    whole = [key.key_id for key in made if key.granted == EVERY_SCOPE]
    soon = (now + SOON).isoformat()
    ending = [f"{key.key_id} at {key.expires_at}" for key in made if not key.valid(soon)]
    if whole:
        yield Finding("keys", "warning", f"{len(whole)} with all scopes: {', '.join(whole)}", NARROWER)
    if ending:
        yield Finding("keys", "warning", f"{len(ending)} expire soon: {', '.join(ending)}", RENEWED)
    if not whole and not ending:
        yield Finding("keys", "ok", f"{len(valid)} in force")


def permissions(settings: Settings) -> Iterator[Finding]:
    """Modes of the data folder and of the database's files."""
    folder, database = settings.database.parent, settings.database
    files = [database.with_name(f"{database.name}{suffix}") for suffix in BESIDE]
    present = [path for path in (folder, *files) if path.exists()]
    if not present:
        yield Finding("permissions", "ok", f"{folder} is not there yet; keel serve makes it")
    for path in present:
        mode = stat.S_IMODE(path.stat().st_mode)
        shown = f"{path} has mode {mode:04o}"
        if mode & OTHERS:
            wanted = "700" if path == folder else "600"
            yield Finding("permissions", "fault", f"{shown}, open to others", f"chmod {wanted} {path}")
        elif not os.access(path, os.R_OK | os.W_OK):
            yield Finding("permissions", "fault", f"{shown}, not writable by this user", f"chown or chmod {path}")
        else:
            yield Finding("permissions", "ok", shown)


def stored(settings: Settings, store: Examined | None) -> Iterator[Finding]:
    """Whether the database is whole and of this version."""
    if store is None:
        yield Finding("store", "ok", "no database yet; keel serve makes it")
        return
    if store.damage:
        yield Finding("store", "fault", f"{settings.database}: {store.damage}", "restore a backup: docs/operations.md")
    elif store.unknown:
        found = f"steps of a newer version: {', '.join(store.unknown)}"
        yield Finding("store", "fault", found, "run the version of keel that wrote it, or a newer one")
    elif store.missing:
        found = f"steps that are still to come: {', '.join(store.missing)}"
        yield Finding("store", "warning", found, "make a backup; keel serve applies them when it starts")
    else:
        yield Finding("store", "ok", "whole, and of this version")


def clock(store: Examined | None) -> Iterator[Finding]:
    """Whether the time is plausible, and not before the last entry."""
    now = datetime.now(UTC)
    latest = datetime.fromisoformat(store.latest) if store is not None and store.latest else None
    if now < EARLIEST:
        yield Finding("clock", "fault", f"it says {now:%Y-%m-%d %H:%M} UTC", "set the clock, for example with NTP")
    elif latest is not None and now < latest:
        found = f"it says {now:%Y-%m-%d %H:%M} UTC, before the database's last entry, {latest:%Y-%m-%d %H:%M} UTC"
        yield Finding(
            "clock", "fault", found, "set the clock, for example with NTP; deadlines of erasures depend on it"
        )
    else:
        yield Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def disk(settings: Settings) -> Iterator[Finding]:
    """Free space where the database lies or will lie."""
    place = settings.database.parent
    place = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    status: Status = "fault" if free < TOO_LITTLE else "warning" if free < LITTLE else "ok"
    remedy = "" if status == "ok" else f"free space, or name another data folder: --data-dir or {PREFIX}DATA_DIR"
    yield Finding("disk", status, f"{free / 2**30:.1f} GiB free at {place}", remedy)


def basis(settings: Settings) -> Iterator[Finding]:
    """The basis against the hashes of its card, and the encoder that it names."""
    place: Path = settings.basis or DEFAULT
    remedy = "restore the folder, or name another with --basis or KEEL_BASIS"
    try:
        artifact = open_artifact(settings.basis)
    except KeelError as error:
        yield Finding("basis", "fault", str(error), remedy)
        return
    if artifact.unpinned:
        yield Finding("basis", "warning", f"{place} has no hash of: {', '.join(artifact.unpinned)}", PINNING)
    else:
        yield Finding("basis", "ok", f"{place}: {artifact.basis.version}, every hash matches")
    start = time.monotonic()
    try:
        encoder = open_encoder(artifact, settings.basis)
    except KeelError as error:
        yield Finding("encoder", "fault", str(error), remedy)
    else:
        found = f"{encoder.name} {encoder.sha256[:12]} loads in {time.monotonic() - start:.1f} s"
        yield Finding("encoder", "ok", found)
