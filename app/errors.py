"""The service's leaves of the exception tree, and the one table that maps the whole tree to HTTP.

KeelError
├── InvalidInput         422   a value is unusable
│   └── TooLarge         413   a body over the limit
├── Unauthorized         401   no key, or none that is known, where one is needed
├── Forbidden            403   the key may not do this, or is bound to another person
├── NotFound             404   unknown person, question, audit or version within the tenant
├── Conflict             409   the request contradicts what is stored
├── Gone                 410   a version that was retired
├── TooManyRequests      429   more of the tenant's own waits than its limit allows
├── ClientGone           408   the client closed the connection; nobody reads the reply
├── NotReady             503   the encoder is still loading
│   ├── Overloaded       503   more waits for the encoder than the limit allows
│   └── StoreFailed      503   the database cannot be written or read
├── RubricFailed         503   a check of the deployer's own does not work
├── SourceFailed         503   a source of base rewards could not read a pair
│   ├── PairsFailed      503   it could not read these pairs, and perhaps the others
│   ├── CallFailed       503   a service that is a source gave no answer to one call
│   │   └── CallRefused  503   it does not take a request of that form
│   └── SourceChanged    503   another model answers than the one whose judgments are kept
├── NotFinite            500   a base reward came out as NaN or infinity
├── NotConverged         500   an iteration ended without reaching its tolerance
└── ArtifactMismatch     500   a stored artifact contradicts its card
"""

from typing import Literal

from elicitation.errors import ArtifactMismatch, InvalidInput, KeelError, NotConverged, SourceFailed

Missing = Literal["down", "timeout", "rate", "malformed", "unsure"]
"""Why a service that is a source gave no numbers for a row."""


class TooLarge(InvalidInput):
    """A request body over the limit."""


class Unauthorized(KeelError):
    """The request shows no key that opens this service."""


class Forbidden(KeelError):
    """The request's key may not do this."""


class NotFound(KeelError):
    """Nothing of that name is known within the tenant."""


class Gone(KeelError):
    """The pinned version is retired, because a person it was learned from was erased."""


class Conflict(KeelError):
    """The request contradicts what is already stored; nothing was changed."""


class RubricFailed(KeelError):
    """A check of the deployer's own raised, or gave no verdict; nothing was scored."""


class Temporary(KeelError):
    """The same request may succeed in ``seconds``."""

    def __init__(self, message: str, seconds: int = 1) -> None:
        super().__init__(message)
        self.seconds = seconds


class NotReady(Temporary):
    """The service cannot answer yet; try again shortly."""


class TooManyRequests(Temporary):
    """Too much of the tenant's own is waiting already; try again shortly."""


class ClientGone(KeelError):
    """Nobody waits for the reply any longer; work for it has stopped."""


class Overloaded(NotReady):
    """Too much is waiting already; try again shortly."""


class StoreFailed(NotReady):
    """The database cannot be written or read now; nothing was stored."""


class CallFailed(SourceFailed):
    """A call to a service that is a source failed for ``reason``; ``seconds`` is the pause that it asked for, if any.

    ``final``: the same call would fail again.
    """

    def __init__(self, message: str, reason: Missing = "down", seconds: float = 0.0, final: bool = False) -> None:
        super().__init__(message)
        self.reason, self.seconds, self.final = reason, seconds, final


class CallRefused(CallFailed):
    """The service does not take a request of that form; it may take a plainer one."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "malformed", final=True)


class SourceChanged(SourceFailed):
    """Another model answers at a source's address than the one whose numbers are kept under its version."""


class NotFinite(KeelError):
    """A base reward is NaN or infinite: an error, never a reward of 0."""


STATUS: dict[type[KeelError], int] = {
    TooLarge: 413,
    InvalidInput: 422,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    TooManyRequests: 429,
    ClientGone: 408,
    NotReady: 503,
    RubricFailed: 503,
    SourceFailed: 503,
    NotFinite: 500,
    NotConverged: 500,
    ArtifactMismatch: 500,
    KeelError: 500,
}


def status_of(error: KeelError) -> int:
    """The HTTP status of the nearest ancestor in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
