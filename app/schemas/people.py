"""Profile, guard and export of a person."""

from typing import Literal

from pydantic import Field

from app.schemas.base import Reply
from app.storage.appeals import Appeal
from app.storage.store import AnchorRating, Answer, Correction, Question
from app.storage.traffic import ServedRanking


class HeadReply(Reply):
    """One base reward's coefficient, in nats of log-odds per spread."""

    name: str
    mean: float
    std: float
    aggregate: float
    guarded: float


class StatementReply(Reply):
    text: str
    confidence: float
    because: tuple[str, ...] = Field(description="ids of the questions with the largest influence")


class BandReply(Reply):
    """The agreement band in one stratum: nats paid for agreement beyond the aggregate."""

    status: Literal["active", "inactive"]
    limit: float | None = Field(description="nats to either side; null where inactive")
    before: float | None = Field(description="nats under the coefficients before the guard")
    after: float | None = Field(description="nats under the guarded coefficients")
    binds: bool


class GuardReply(Reply):
    """λ_g = λ̄ + α(λ' − λ̄), with λ' inside the agreement band, and the bounds on α."""

    alpha: float
    divergence_max: float = Field(description="largest KL from the aggregate over the reference prompts, nats")
    divergence_p95: float
    budget: dict[str, float]
    starc: float | None = Field(description="STARC distance; null where the aggregate is too flat to define it")
    band: dict[str, BandReply] = Field(description="one entry per stratum: explicit and implicit")
    binding: str


class ProfileReply(Reply):
    user_id: str
    version: str
    answered: int
    heads: list[HeadReply]
    statements: list[StatementReply]
    guard: GuardReply


class ExportReply(Reply):
    """Everything held about a person; `answers` is the whole log, corrections included."""

    user_id: str
    created_at: str
    questions: list[Question]
    answers: list[Answer | Correction]
    anchors: list[AnchorRating]
    appeals: list[Appeal]
    rankings: list[ServedRanking]
    profile: ProfileReply
