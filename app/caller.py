"""Who the running request is of: known to whatever it calls, without a parameter in every function on the way.

Set once where a request enters (``app/http/admission.py``); what runs outside of a request has the caller NOBODY.
"""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """``tenant`` takes turns with the others, and its own cache entries lie under ``cache``.

    The waiting tokens of ``payer`` are bounded by ``max_tokens``, if that is not None.
    ``gone`` ends when the client of the request has closed its connection.
    """

    tenant: str = ""
    cache: str = ""
    gone: asyncio.Task[None] | None = None
    payer: str = ""
    max_tokens: int | None = None


NOBODY = Caller()
CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)
