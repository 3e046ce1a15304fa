"""How findings went over the stored audits of a tenant, and what changed since the report before."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.schemas.audits import ChangeReply, TrendPoint, TrendReply
from app.storage.store import AuditReport

HISTORY = 50
"""Latest reports looked at."""
Key = tuple[int, str, str]


def trends(reports: Sequence[AuditReport]) -> list[TrendReply]:
    """For each finding of the last report its values over all of them, oldest first."""
    tables = [(report.created_at, _by_key(report)) for report in reports]
    return [
        TrendReply(
            number=number,
            name=name,
            source=source,
            points=[_point(at, table[number, name, source]) for at, table in tables if (number, name, source) in table],
        )
        for number, name, source in _by_key(reports[-1])
    ]


def changes(before: AuditReport, report: AuditReport) -> list[ChangeReply]:
    """The findings whose status is another than in the report before."""
    earlier = _by_key(before)
    return [
        ChangeReply(
            number=key[0],
            name=key[1],
            source=key[2],
            before=earlier[key]["status"],
            now=finding["status"],
            since=before.created_at,
        )
        for key, finding in _by_key(report).items()
        if key in earlier and earlier[key]["status"] != finding["status"]
    ]


def _point(created_at: str, finding: dict[str, Any]) -> TrendPoint:
    return TrendPoint(created_at=created_at, **{name: finding[name] for name in ("value", "low", "high", "status")})


def _by_key(report: AuditReport) -> dict[Key, dict[str, Any]]:
    findings: Iterable[dict[str, Any]] = report.report["findings"]
    # Reports from before sources were told apart spoke of the reference set.
    return {(f["number"], f["name"], f.get("source", "reference")): f for f in findings}
