"""Rankings of a set of candidates, and rules that use the rewards' uncertainty."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from app.schemas.base import (
    BasisVersion,
    Flag,
    JsonSchema,
    Kappa,
    Many,
    Number,
    Positive,
    ProfileVersion,
    Reply,
    Seed,
    Strict,
    Temperature,
    UserId,
    limit,
)
from app.schemas.messages import Completion, Flags, Prompt, Viewed
from reward_bases.reading_rule import View


class RankRule(StrEnum):
    """Ranking rules, which use the rewards' uncertainty in different ways; see docs/uncertainty.md."""

    MEAN = "mean"
    LCB = "lcb"
    PESSIMISTIC = "pessimistic"
    DRRO = "drro"
    SOFT = "soft"
    BRME = "brme"


RULE_PARAMETERS = {"kappa": RankRule.LCB, "rho": RankRule.DRRO, "seed": RankRule.SOFT, "nominal": RankRule.BRME}
"""Parameters of one rule alone."""
OF_A_RANKING = ("rule", "beta", "agreement", "top_n", "certify", "curve")
"""Parameters that need the rewards of all candidates."""
ALL_SOURCES: JsonSchema = {"sources": {"const": "all"}}


class AskedSources(StrEnum):
    """Whom a ranking asks of each candidate."""

    ALL = "all"
    NEEDED = "needed"


class RankRequest(Strict):
    prompt: Prompt
    candidates: Many[Completion] = Field(min_length=1, json_schema_extra=limit("max_candidates"))
    view: Viewed = View.ANSWER
    user_id: UserId | None = None
    rule: RankRule = Field(
        default=RankRule.MEAN,
        description="mean; lcb: mean − kappa·std; pessimistic: mean − variance/(2·beta); brme: over an ensemble of "
        "heads, nominal·surest + (1 − nominal)·least; drro: minimax regret with errors of rho; soft: random order",
    )
    beta: Temperature = 1.0
    kappa: Kappa = 1.0
    rho: Number = Field(default=1.0, ge=0, le=1e6, description="drro: largest sum of errors of the rewards, nats")
    nominal: Number = Field(default=0.5, ge=0, le=1, description="brme: weight of the surest heads")
    seed: Seed | None = Field(default=None, description="soft: random seed")
    agreement: Many[Literal[0, 1]] | None = Field(
        default=None,
        description="1 for each candidate that agrees with the user; these get at most their share under the aggregate",
    )
    top_n: Positive | None = Field(default=None, description="return only this many, the best ones")
    certify: Flag = Field(
        default=False, description="mix with the aggregate's probabilities until the set is within the budget"
    )
    curve: Flag = Field(default=False, description="also return the expected reward of the best of 1, 2, … candidates")
    sources: AskedSources = Field(
        default=AskedSources.ALL,
        description="needed: find the best alone, and ask judges about a candidate only while that may change it; the "
        "reply is of another shape",
    )
    doubt: Number = Field(
        default=0.05, ge=0, le=1, description="needed: chance that a candidate not judged is the best, at most"
    )
    profile_version: ProfileVersion | None = None
    basis_version: BasisVersion | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"user_id": "ada", "prompt": "Basil?", "candidates": ["Water it.", "Basil needs light …"]},
            "dependentSchemas": {
                **{name: {"properties": ALL_SOURCES} for name in OF_A_RANKING},
                **{
                    name: {"properties": {"rule": {"const": rule.value}, **ALL_SOURCES}, "required": ["rule"]}
                    for name, rule in RULE_PARAMETERS.items()
                },
                "doubt": {"properties": {"sources": {"const": AskedSources.NEEDED.value}}, "required": ["sources"]},
            },
        }
    )

    @model_validator(mode="after")
    def parameters_fit_the_rule(self) -> Self:
        for name in RULE_PARAMETERS.keys() & self.model_fields_set:
            if RULE_PARAMETERS[name] is not self.rule:
                raise ValueError(f"{name} belongs to rule {RULE_PARAMETERS[name].value!r}, not {self.rule.value!r}")
        return self

    @model_validator(mode="after")
    def parameters_fit_the_sources(self) -> Self:
        if self.sources is AskedSources.ALL and "doubt" in self.model_fields_set:
            raise ValueError("doubt belongs to sources 'needed'; name them, or leave it out")
        beside = self.model_fields_set & {*OF_A_RANKING, *RULE_PARAMETERS}
        if self.sources is AskedSources.NEEDED and beside:
            raise ValueError(f"{min(beside)} needs the rewards of all candidates; leave it out, or ask all sources")
        return self

    @property
    def covered(self) -> bool:
        """Whether the guard's bounds, which are those of the mean at 1 nat, speak of this request."""
        return self.rule is RankRule.MEAN and self.beta == 1 and self.agreement is None


class RankedReply(Reply):
    index: int = Field(description="position in `candidates`, from 0")
    score: float = Field(description="guarded score of the profile, 0–1, the same for every rule")
    probability: float = Field(
        description="probability of being chosen from this set: softmax of the rule's values over beta"
    )
    flags: Flags = None


class CurvePoint(Reply):
    n: int
    reward: float = Field(description="expected reward of the best of n of these candidates, nats; unbiased")
    divergence: float = Field(
        description="upper bound of the KL divergence of best-of-n from its sampling policy, nats"
    )


class RankReply(Reply):
    results: list[RankedReply] = Field(description="best first")
    set_divergence: float = Field(description="KL divergence of `probability` from the aggregate's probabilities, nats")
    set_alpha: float = Field(
        description="largest weight of the rule's own probabilities that keeps this set within the budget"
    )
    outside_guard: bool = Field(
        description="true if this set exceeds the budget under a rule that the guard does not cover"
    )
    best: int | None = Field(description="index of the best; null when the gate rejected all")
    curve: list[CurvePoint] | None = None
    served_by: Literal["personal", "aggregate"] = Field(
        description="the reward that ranked: with explore_rate the aggregate serves some requests, at random"
    )
    recommended_n: int | None = Field(default=None, description="the n with the largest reward − beta·divergence")
    basis_version: str
    profile_version: str | None


class JudgedReply(Reply):
    index: int = Field(description="position in `candidates`, from 0")
    score: float = Field(description="guarded score of the profile, 0–1")
    flags: Flags = None


class PickedReply(Reply):
    """The reply with `sources: "needed"`."""

    results: list[JudgedReply] = Field(description="the candidates that were judged, best first")
    unjudged: list[int] = Field(description="index of each other candidate, that of the highest forecast first")
    best: int | None = Field(description="index of the best; null when the gate rejected all")
    doubt: float = Field(description="chance that one of `unjudged` is better than `best`, by the reference set")
    basis_version: str
    profile_version: str | None
