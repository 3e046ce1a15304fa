"""Keel's client: ask, tell, score, rank, compare and audit over HTTP.

from keel import Client
with Client() as keel:
    question = keel.ask("ada")
"""

from keel.async_client import AsyncClient
from keel.client import Client
from keel.errors import Conflict, Invalid, KeelError, NotFound, Problem, Unavailable, Unreachable
from keel.replies import (
    Comparison,
    Detail,
    Gate,
    Guard,
    HeadCoefficient,
    Profile,
    Question,
    Ranked,
    Ranking,
    Scores,
    Statement,
    Told,
    Undone,
)

__all__ = [
    "AsyncClient",
    "Client",
    "Comparison",
    "Conflict",
    "Detail",
    "Gate",
    "Guard",
    "HeadCoefficient",
    "Invalid",
    "KeelError",
    "NotFound",
    "Problem",
    "Profile",
    "Question",
    "Ranked",
    "Ranking",
    "Scores",
    "Statement",
    "Told",
    "Unavailable",
    "Undone",
    "Unreachable",
]
