"""The root of Keel's exception tree.

KeelError
├── InvalidInput      the caller's values are unusable; the message names value, limit and remedy
├── NotConverged      an iteration ended without reaching its tolerance
├── SourceFailed      a source of base rewards could not read every pair; the message names source and rows
│   └── PairsFailed   the pairs that it could not read are named, so that the others may be read without them
└── ArtifactMismatch  a stored artifact contradicts its card or the code

The service adds its own leaves in ``app/errors.py`` and maps the whole tree to HTTP there.
"""

from collections.abc import Mapping


class KeelError(Exception):
    """Anything Keel raises on purpose."""


class InvalidInput(KeelError, ValueError):
    """A value outside what the called function accepts."""


class NotConverged(KeelError):
    """An iteration stopped at its limit; no half-answer is returned."""


class SourceFailed(KeelError):
    """A source has no values for some rows: an error, never a base reward of 0."""


class PairsFailed(SourceFailed):
    """``failed`` maps the digest of each pair that a source could not read to the source's name and the reason."""

    def __init__(self, message: str, failed: Mapping[str, tuple[str, str]] | None = None) -> None:
        super().__init__(message)
        self.failed = failed or {}


class ArtifactMismatch(KeelError):
    """A file's content, hash or shape is not what its card says."""
