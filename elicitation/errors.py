"""The root of Keel's exception tree.

KeelError
├── InvalidInput      the caller's values are unusable; the message names value, limit and remedy
├── NotConverged      an iteration ended without reaching its tolerance
└── ArtifactMismatch  a stored artifact contradicts its card or the code

The service adds its own leaves in ``app/errors.py`` and maps the whole tree to HTTP there.
"""


class KeelError(Exception):
    """Anything Keel raises on purpose."""


class InvalidInput(KeelError, ValueError):
    """A value outside what the called function accepts."""


class NotConverged(KeelError):
    """An iteration stopped at its limit; no half-answer is returned."""


class ArtifactMismatch(KeelError):
    """A file's content, hash or shape is not what its card says."""
