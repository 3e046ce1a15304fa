"""Rewards of completions, with details on request, and predicted choices."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from app.schemas.base import (
    BasisVersion,
    Flag,
    Kappa,
    Many,
    Number,
    ProfileVersion,
    Reply,
    Strict,
    Temperature,
    UserId,
    absent,
    limit,
)
from app.schemas.messages import Completion, Flags, Prompt, Viewed
from reward_bases.reading_rule import View
from safeguards.shaping import Normalization

ROWS = limit("max_items")


class OnMissing(StrEnum):
    """What becomes of a row that a source cannot judge."""

    FAIL = "fail"
    MASK = "mask"


class ScoreRequest(Strict):
    """One completion per prompt. `user_ids` names one person per row; without a person the aggregate scores."""

    prompts: Many[Prompt] = Field(min_length=1, json_schema_extra=ROWS)
    completions: Many[Completion] = Field(min_length=1, json_schema_extra=ROWS)
    view: Viewed = View.ANSWER
    user_id: UserId | None = None
    user_ids: Annotated[Many[UserId], Field(min_length=1, json_schema_extra=ROWS)] | None = None
    profile_version: ProfileVersion | None = None
    profile_versions: Annotated[dict[UserId, ProfileVersion], Field(fail_fast=True)] | None = Field(
        default=None, description="pin several people: person → version; others use their current version"
    )
    basis_version: BasisVersion | None = None
    mix: Number = Field(default=0.0, ge=0, le=1, description="weight of the aggregate: (1 − mix)·own + mix·aggregate")
    normalize: Normalization = Field(
        default=Normalization.NONE,
        description="unit of `rewards`. none: nats; reference: SD over the reference set; group: minus the mean and "
        "divided by the SD of the request's rows with the same prompt and person",
    )
    bounded: Flag = Field(default=False, description="`rewards` between 0 and 1, strictly increasing")
    conciseness: Number = Field(
        default=0.0,
        ge=0,
        le=1,
        description="bonus for short responses, up to this share of their quality above the mean",
    )
    baseline: Annotated[Many[Completion], Field(min_length=1, json_schema_extra=ROWS)] | None = Field(
        default=None, description="responses whose mean reward is subtracted from every row"
    )
    baselines: Many[Annotated[Many[Completion], Field(json_schema_extra=ROWS | {"minItems": 1})]] | None = Field(
        default=None, description="the same, with one list per row", json_schema_extra=ROWS
    )
    beta: Temperature = 1.0
    kappa: Kappa = 1.0
    detail: Flag = False
    components: Flag = Field(default=False, description="adds `components` to the reply")
    on_missing: OnMissing = Field(
        default=OnMissing.FAIL,
        description="where a source cannot judge a row. fail: 503 for the request; mask: null for this row, which "
        "`missing` names, and for the others the rewards that they have without it",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"user_id": "ada", "prompts": ["How do I keep basil alive?"], "completions": ["Water it."]},
            "anyOf": [{"properties": {name: {"type": "null"}}} for name in ("baseline", "baselines")],
        }
    )

    @model_validator(mode="after")
    def baselines_come_once(self) -> Self:
        if self.baseline is not None and self.baselines is not None:
            raise ValueError("baseline and baselines are both given; send one list for all rows, or one per row")
        return self

    @property
    def plain(self) -> bool:
        """True if the request asks for plain rewards: in nats, of the profile alone, without details.

        Plain rewards may have components.
        """
        shaped = self.mix or self.bounded or self.conciseness or self.normalize is not Normalization.NONE
        return not (shaped or self.contrastive or self.detail)

    @property
    def contrastive(self) -> bool:
        """True if rewards are relative to baselines."""
        return self.baseline is not None or self.baselines is not None


class GateReply(Reply):
    passed: bool = Field(serialization_alias="pass")
    reasons: tuple[str, ...]


class DetailReply(Reply):
    """Parts of one reward, in nats; null if the gate rejected the response. `heads` sum to `guarded`."""

    mean: float = Field(description="the reward")
    std: float = Field(description="its standard deviation against the baseline, by default the reference mean")
    lcb: float = Field(description="lower confidence bound: mean − kappa·std")
    pessimistic: float = Field(description="mean − std²/(2·beta)")
    epistemic: float = Field(description="uncertainty that more answers reduce; equal to std")
    aleatoric: float | None = Field(
        description="noise of the person's own judgments, nats; null while anchor ratings are too few"
    )
    preferred: float | None = Field(
        description="probability that the person prefers it to the baseline; null without baseline or aleatoric"
    )
    aggregate: float | None = Field(description="reward under the population mean")
    raw: float | None = Field(description="reward before the guard")
    guarded: float
    gate: GateReply
    flags: list[str]
    heads: dict[str, float] = Field(description="each head's share of the guarded reward")


class ScoreReply(Reply):
    rewards: list[float] = Field(description="in the order of the completions; nats unless shaped by the request")
    scores: list[float] = Field(description="between 0 and 1, strictly increasing in the reward in nats")
    basis_version: str
    profile_versions: dict[str, str] = Field(description="person → version; empty for the aggregate")
    details: list[DetailReply] | None = None
    components: dict[str, list[float]] | None = Field(
        default=None,
        description="each head's share of every reward, and the gate's, in nats: they sum to the reward before "
        "`normalize`, `bounded` and `conciseness`. The gate's is the floor reward of a response that it rejects",
    )
    flags: list[list[str]] | None = Field(
        default=None, exclude_if=absent, description="those of each completion; left out where all was read"
    )


class MissingReply(Reply):
    """A row without a reward."""

    index: int = Field(description="its place among the completions")
    source: str = Field(description="the source that could not judge it")
    reason: str = Field(description="of a judge: down, timeout, rate, malformed or unsure; of others their own words")


class MaskedReply(Reply):
    """As `ScoreReply`, with null in the rows that `missing` names."""

    rewards: list[float | None]
    scores: list[float | None]
    basis_version: str
    profile_versions: dict[str, str]
    details: list[DetailReply | None] | None = None
    components: dict[str, list[float | None]] | None = None
    flags: list[list[str]] | None = Field(default=None, exclude_if=absent)
    missing: list[MissingReply]


class CompareRequest(Strict):
    prompt: Prompt
    a: Completion
    b: Completion
    view: Viewed = View.ANSWER
    user_id: UserId | None = None
    profile_version: ProfileVersion | None = None
    basis_version: BasisVersion | None = None


class CompareReply(Reply):
    """Predicted choice probabilities under guarded coefficients, without side bias."""

    p_a: float
    p_b: float
    p_same: float
    flags: Flags = None
