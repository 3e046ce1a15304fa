"""Whose answers a population holds: a note in its card that names nobody."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from app.storage.store import Person


def learned_from(tenant: str, persons: Sequence[Person]) -> dict[str, Any]:
    """Whose answers a population holds, recognisable only to whoever still has the person."""
    salt = secrets.token_hex(16)
    people = sorted(fingerprint(salt, person.person_uid) for person in persons)
    return {"service": tenant, "salt": salt, "people": people}


def fingerprint(salt: str, person_uid: str) -> str:
    """SHA-256 of a person's random identifier, salted per artifact."""
    return hashlib.sha256(f"{salt}{person_uid}".encode()).hexdigest()
