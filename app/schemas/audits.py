"""Stored audits, and the audit of one person."""

from typing import Any

from pydantic import Field

from app.schemas.base import Reply


class TrendPoint(Reply):
    created_at: str
    value: float | None
    low: float | None
    high: float | None
    status: str


class TrendReply(Reply):
    """One finding over the stored audits up to this one, oldest first."""

    number: int
    name: str
    source: str
    points: list[TrendPoint]


class ChangeReply(Reply):
    """A finding with another status than in the audit before."""

    number: int
    name: str
    source: str
    before: str
    now: str
    since: str


class AuditReply(Reply):
    """A stored report; `audit_id` is the hash of `report` alone, without trends and changes."""

    audit_id: str
    created_at: str
    report: dict[str, Any]
    trends: list[TrendReply]
    changes: list[ChangeReply]


class OwnFindingReply(Reply):
    """One metric of one person: a value and its limits. One person gives no interval."""

    number: int
    name: str
    meaning: str
    value: float
    unit: str
    amber: float
    red: float
    status: str


class OwnAuditReply(Reply):
    """Effects of personal rewards on one person."""

    profile_version: str
    answered: int
    findings: list[OwnFindingReply]
    rankings: int = Field(description="logged rankings of this person")
    by_aggregate: int = Field(description="… of them served by the aggregate, chosen at random")
