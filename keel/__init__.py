"""Keel's client: ask, tell, score, rank, compare and audit over HTTP.

from keel import Client
with Client() as keel:
    question = keel.ask("ada")
"""

from keel.async_client import AsyncClient
from keel.client import Client
from keel.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    InvalidArgument,
    KeelError,
    NotFound,
    Problem,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from keel.replies import (
    Band,
    Comparison,
    CurvePoint,
    Detail,
    Gate,
    Guard,
    HeadCoefficient,
    Judged,
    MaskedScores,
    Missing,
    PersonKey,
    Picked,
    Profile,
    Question,
    Ranked,
    Ranking,
    Rated,
    Scores,
    Statement,
    Told,
    Undone,
)
from keel.reward import AsyncReward, Reward, keel_reward
from keel.vector_reward import AsyncVectorReward, ComponentReward, VectorReward
from keel.wire import Retry

__all__ = [
    "AsyncClient",
    "AsyncReward",
    "AsyncVectorReward",
    "Band",
    "Client",
    "Comparison",
    "ComponentReward",
    "Conflict",
    "CurvePoint",
    "Detail",
    "Forbidden",
    "Gate",
    "Gone",
    "Guard",
    "HeadCoefficient",
    "Invalid",
    "InvalidArgument",
    "Judged",
    "KeelError",
    "MaskedScores",
    "Missing",
    "NotFound",
    "PersonKey",
    "Picked",
    "Problem",
    "Profile",
    "Question",
    "Ranked",
    "Ranking",
    "Rated",
    "Retry",
    "Reward",
    "Scores",
    "Statement",
    "Told",
    "Unauthorized",
    "Unavailable",
    "Undone",
    "Unreachable",
    "VectorReward",
    "keel_reward",
]
