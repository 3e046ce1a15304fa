"""Errors between a caller and the service.

KeelError
├── InvalidArgument a function was called with a value that it cannot use; a ValueError too
├── Unreachable     no answer after all retries
└── Problem         the service answered with problem+json; ``status`` and ``detail`` say what
    ├── Invalid     400, 413, 422: change the request
    ├── Unauthorized 401: the service needs a key, or another one
    ├── Forbidden   403: the key lacks a scope, or is bound to another person
    ├── NotFound    404: no such person, question, audit or version
    ├── Conflict    409: the request contradicts what is stored
    ├── Gone        410: the version pinned was retired; pin a newer one
    └── Unavailable 429, 503: the service is starting or overloaded; retries did not help
"""

from http import HTTPStatus


class KeelError(Exception):
    """Anything the client raises on purpose."""


class InvalidArgument(KeelError, ValueError):
    """A value outside what the called function accepts; no request was sent."""


class Unreachable(KeelError):
    """No service answered at the address."""


class Problem(KeelError):
    """An error reply; ``errors`` lists single fields where the service named them.

    ``request_id`` finds the request in the service's log. The message shows it for faults of the service.
    """

    def __init__(
        self, status: int, detail: str, errors: tuple[dict[str, str], ...] = (), request_id: str | None = None
    ) -> None:
        faulty = request_id is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR
        super().__init__(f"{status} {detail}" + (f" (request {request_id})" if faulty else ""))
        self.status, self.detail, self.errors, self.request_id = status, detail, errors, request_id


class Invalid(Problem):
    """The request cannot be used as it is."""


class Unauthorized(Problem):
    """The service wants a key that it knows; give one with ``key``."""


class Forbidden(Problem):
    """The key may not do this; the message names the scope needed."""


class NotFound(Problem):
    """Nothing of that name is known."""


class Conflict(Problem):
    """The request contradicts what is already stored; nothing was changed."""


class Gone(Problem):
    """The pinned version is retired, because a person it was learned from was erased."""


class Unavailable(Problem):
    """The service cannot answer at the moment."""


KINDS: dict[int, type[Problem]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Gone,
    HTTPStatus.TOO_MANY_REQUESTS: Unavailable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
}
