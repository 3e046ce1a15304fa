"""Requests and replies on the wire. Requests forbid unknown fields; their sizes are bounded by settings, not here."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.store import Answer, Correction, Question
from elicitation.acquisition import Rule
from elicitation.choice import Choice, Strength

SEED_MAX = 2**63 - 1
USER_ID = r"^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$"
USER_ID_HELP = "1 to 128 letters, digits or . _ : @ + -, the first a letter or digit"
UserId = Annotated[str, StringConstraints(pattern=USER_ID), Field(description=USER_ID_HELP)]


def whole(text: str) -> str:
    """JSON can smuggle in half a character, which neither the encoder nor the database can take."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"half a character at place {error.start}, send whole Unicode") from error
    return text


Unicode = Annotated[str, AfterValidator(whole)]
Name = Annotated[Unicode, StringConstraints(min_length=1, max_length=128)]


class Strict(BaseModel):
    """A request: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reply(BaseModel):
    model_config = ConfigDict(frozen=True)


class Message(Strict):
    role: Literal["system", "user", "assistant"]
    content: Unicode


Text = Annotated[
    Unicode | Annotated[list[Message], Field(min_length=1)],
    Field(description="plain text, or messages {role, content}"),
]
ProfileVersion = Annotated[Name, Field(description="pin an earlier profile; it implies the basis")]
BasisVersion = Annotated[Name, Field(description="refuse to answer with any other basis")]


class AskRequest(Strict):
    """Nothing is required: iopt chooses, and a fresh seed is drawn and recorded."""

    rule: Rule = Field(default=Rule.IOPT, description="how the question is chosen")
    seed: int | None = Field(default=None, ge=0, le=SEED_MAX, description="decides the sides and every random draw")
    force: bool = Field(default=False, description="ask on although no question is worth asking")


class QuestionReply(Reply):
    """Two responses to one prompt, sides drawn by lot."""

    question_id: str
    prompt: str | list[Message]
    left: str
    right: str
    number: int = Field(description="this is question `number` …")
    expected_total: int = Field(description="… of about `expected_total`")
    expected_gain: float = Field(description="what the answer is expected to teach, in `unit`")
    unit: str

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "question_id": "q_5f0c1d9a2b7e4c61",
                "prompt": "How do I keep basil alive indoors?",
                "left": "Give it six hours of light and water it when the top of the soil is dry.",
                "right": "Basil is lovely to have around! Let me walk you through everything it needs …",
                "number": 4,
                "expected_total": 10,
                "expected_gain": 0.83,
                "unit": "probability², summed over served pairs",
            }
        }
    )


class AnswerRequest(Strict):
    """`both_poor`, `skip` and `note` are kept and never move the profile."""

    question_id: Name
    choice: Choice
    strength: Strength | None = Field(default=None, description="how much better the chosen side is")
    note: Unicode | None = Field(
        default=None, description="how a response should change; shown back and exported, never scored"
    )

    model_config = ConfigDict(
        json_schema_extra={"example": {"question_id": "q_5f0c1d9a2b7e4c61", "choice": "left", "strength": "clear"}}
    )


class Progress(Reply):
    """Where a person stands after an entry of their log."""

    profile_version: str
    answered: int
    expected_total: int
    done: bool = Field(description="no further question is worth asking")


class AnswerReply(Progress):
    answer_id: str


class UndoReply(Progress):
    answer_id: str = Field(description="the answer taken back")
    question_id: str = Field(description="its question, open again")


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


class GuardReply(Reply):
    """λ_g = λ̄ + α(λ − λ̄) and what bounds α."""

    alpha: float
    divergence_max: float = Field(description="largest KL from the aggregate over the reference prompts, nats")
    divergence_p95: float
    budget: dict[str, float]
    starc: float | None = Field(description="STARC distance; null where the aggregate is too flat to define it")
    band: str
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
    profile: ProfileReply


class ScoreRequest(Strict):
    """One completion per prompt. `user_ids` names one person per row; without a person the aggregate scores."""

    prompts: list[Text] = Field(min_length=1)
    completions: list[Text] = Field(min_length=1)
    user_id: UserId | None = None
    user_ids: Annotated[list[UserId], Field(min_length=1)] | None = None
    profile_version: ProfileVersion | None = None
    basis_version: BasisVersion | None = None
    detail: bool = False

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"user_id": "ada", "prompts": ["How do I keep basil alive?"], "completions": ["Water it."]}
        }
    )


class GateReply(Reply):
    passed: bool = Field(serialization_alias="pass")
    reasons: tuple[str, ...]


class DetailReply(Reply):
    """One reward taken apart, in nats; null where the gate rejected the response. `heads` sum to `guarded`."""

    mean: float = Field(description="the reward")
    std: float = Field(description="its standard deviation against the reference mean")
    lcb: float = Field(description="lower confidence bound: mean − std")
    aggregate: float | None = Field(description="what everybody together would give")
    raw: float | None = Field(description="before the guard")
    guarded: float
    gate: GateReply
    flags: list[str]
    heads: dict[str, float] = Field(description="each head's share of the guarded reward")


class ScoreReply(Reply):
    rewards: list[float] = Field(description="nats, in the order of the completions")
    scores: list[float] = Field(description="the same between 0 and 1, strictly increasing in the reward")
    basis_version: str
    profile_versions: dict[str, str] = Field(description="person → version; empty for the aggregate")
    details: list[DetailReply] | None = None


class RankRule(StrEnum):
    """mean: expected reward; lcb: minus one std; pessimistic: minus variance/2 (at temperature 1 nat)."""

    MEAN = "mean"
    LCB = "lcb"
    PESSIMISTIC = "pessimistic"


class RankRequest(Strict):
    prompt: Text
    candidates: list[Text] = Field(min_length=1)
    user_id: UserId | None = None
    rule: RankRule = RankRule.MEAN
    top_n: int | None = Field(default=None, ge=1, description="return only the best so many")
    certify: bool = Field(default=False, description="shrink towards the aggregate until this set is within the budget")
    profile_version: ProfileVersion | None = None
    basis_version: BasisVersion | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"user_id": "ada", "prompt": "Basil?", "candidates": ["Water it.", "Basil needs light …"]}
        }
    )


class RankedReply(Reply):
    index: int = Field(description="place in `candidates`")
    score: float = Field(description="the profile's constant guarded score, 0–1, whatever the rule")
    probability: float = Field(description="chance to be picked from this set: softmax of the rule's values at 1 nat")


class RankReply(Reply):
    results: list[RankedReply] = Field(description="best first")
    set_divergence: float = Field(description="KL of `probability` from the aggregate's, nats")
    set_alpha: float = Field(description="largest share of the personal part that keeps this set within the budget")
    outside_guard: bool = Field(description="a rule other than mean leaves the budget on this set")
    best: int | None = Field(description="index of the best; null when the gate rejected all")
    basis_version: str
    profile_version: str | None


class CompareRequest(Strict):
    prompt: Text
    a: Text
    b: Text
    user_id: UserId | None = None
    profile_version: ProfileVersion | None = None
    basis_version: BasisVersion | None = None


class CompareReply(Reply):
    """The predicted choice with guarded coefficients, without sides."""

    p_a: float
    p_b: float
    p_same: float


class AuditReply(Reply):
    """A stored report; `audit_id` is its content hash."""

    audit_id: str
    created_at: str
    report: dict[str, Any]


class ProblemReply(Reply):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="names the value, the limit and the remedy")
    errors: list[dict[str, str]] | None = None
