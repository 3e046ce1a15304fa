"""The service's leaves of the exception tree, and the one table that maps the whole tree to HTTP.

KeelError
├── InvalidInput         422   a value is unusable
│   └── TooLarge         413   a body over the limit
├── NotFound             404   unknown person, question, audit or version within the tenant
├── Conflict             409   the request contradicts what is stored
├── NotReady             503   the encoder is still loading
├── NotConverged         500   an iteration ended without reaching its tolerance
└── ArtifactMismatch     500   a stored artifact contradicts its card
"""

from elicitation.errors import ArtifactMismatch, InvalidInput, KeelError, NotConverged


class TooLarge(InvalidInput):
    """A request body over the limit."""


class NotFound(KeelError):
    """Nothing of that name is known within the tenant."""


class Conflict(KeelError):
    """The request contradicts what is already stored; nothing was changed."""


class NotReady(KeelError):
    """The service cannot answer yet; try again shortly."""


STATUS: dict[type[KeelError], int] = {
    TooLarge: 413,
    InvalidInput: 422,
    NotFound: 404,
    Conflict: 409,
    NotReady: 503,
    NotConverged: 500,
    ArtifactMismatch: 500,
    KeelError: 500,
}


def status_of(error: KeelError) -> int:
    """The HTTP status of the nearest ancestor in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
