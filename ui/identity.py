"""From an identity, as a login gives it, to the person of the service.

An identity that can be the name of a person is that person. Any other becomes ``login-`` and 32 hexadecimal digits of
its SHA-256. An identity that begins with ``login-`` is hashed too, so that nobody can be named like somebody's hash.
"""

import hashlib
import re
from collections.abc import Iterable

HASHED = "login-"
PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")
LONGEST = 1_024


def person_of(identity: str) -> str:
    """The stable name of the person behind an identity; ValueError where it is empty or very long."""
    if not 0 < len(identity) <= LONGEST:
        raise ValueError(f"an identity of {len(identity)} characters; 1 to {LONGEST} are possible")
    if PERSON.fullmatch(identity) and not identity.startswith(HASHED):
        return identity
    return HASHED + hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_auditor(person: str, auditors: Iterable[str]) -> bool:
    """Whether a person is named among the auditors: by identity, or by the hash that the profile page shows."""
    return person in {name if name.startswith(HASHED) else person_of(name) for name in auditors if name}
