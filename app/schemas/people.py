"""What is known about a person: profile, guard and export."""

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
    because: tuple[str, ...] = Field(description="ids of the questions whose answers taught it most")


class BandReply(Reply):
    """The agreement band in one stratum: by how many nats more than the aggregate the reward pays for agreement."""

    status: Literal["active", "inactive"]
    limit: float | None = Field(description="nats to either side; null where inactive")
    before: float | None = Field(description="of the person's own coefficients")
    after: float | None = Field(description="of the guarded ones")
    binds: bool


class GuardReply(Reply):
    """λ_g = λ̄ + α(λ' − λ̄), with λ' inside the agreement band, and what bounds α."""

    alpha: float
    divergence_max: float = Field(description="largest KL from the aggregate over the reference prompts, nats")
    divergence_p95: float
    budget: dict[str, float]
    starc: float | None = Field(description="STARC distance; null where the aggregate is too flat to define it")
    band: dict[str, BandReply] = Field(description="by stratum, explicit and implicit")
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
