"""Reports as files: one HTML file with its plots inside, nothing fetched from anywhere, everything escaped."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from app.audit.loop import audited_loop, world_of
from app.audit.trend import changes, trends
from app.jobs.looping import Loop, loop
from app.jobs.looping_shown import HEADINGS, require_writable, sanity, tables, verdicts, write
from app.report.plots import loop_svg
from app.report.render import audit_html, loop_html
from app.storage.store import AuditReport
from elicitation.errors import InvalidInput
from reward_bases.artifact import Artifact
from safeguards.audit import Material, audit
from safeguards.audit_reference import Served
from safeguards.guard import Reference
from safeguards.loop.grid import Cell, compare, point, sane
from safeguards.loop.world import Crowd

pytestmark = pytest.mark.slow

FETCHES = re.compile(r"""(?:src|href)\s*=\s*["']?(?!["']?#)|@import|url\((?!#)""")


def stored(artifact: Artifact, spread: float, at: str) -> AuditReport:
    """An audit of eight people so far from the aggregate."""
    mean, reference = artifact.population.mean, Reference.of(artifact.reference)
    generator = torch.Generator().manual_seed(0)
    people = mean + spread * torch.randn(8, len(mean), dtype=torch.float64, generator=generator)
    served = Served(mean, people, reference, torch.tensor(artifact.basis.protected), 5, ("<new>", "old") * 4)
    made = audit(Material(served), {"basis": "b<1>"}, generator)
    return AuditReport(made.content_hash, at, made.to_dict())


@pytest.fixture(scope="module")
def reply(artifact: Artifact) -> dict[str, Any]:
    """As the service replies."""
    before, now = (
        stored(artifact, 0.02, "2026-05-01T10:00:00+00:00"),
        stored(artifact, 2.0, "2026-05-02T10:00:00+00:00"),
    )
    return {
        **asdict(now),
        "trends": [trend.model_dump() for trend in trends([before, now])],
        "changes": [change.model_dump() for change in changes(before, now)],
    }


@pytest.fixture(scope="module")
def small_loop(artifact: Artifact) -> Loop:
    world = world_of(artifact)
    crowd = Crowd.drawn(world, 1, 20, 6, 3, 0)
    judged = Cell("assimilating", 0.05, 16)
    rows = (*compare(world, crowd, Cell("fixed", 0.0, 16)), *compare(world, crowd, judged))
    points = tuple(point(world, crowd, judged, epsilon) for epsilon in (0.1, 0.5))
    versions = {"basis": artifact.basis.version}
    parts = (versions, dict(artifact.budget), "inactive", sane(rows), rows, points, points[:1], points[1:], 1.0, 1.0)
    return Loop(20, 1, 6, world.candidates, 0, *parts)


class TestAudit:
    def test_every_finding_is_there_with_value_limits_and_versions(self, reply: dict[str, Any]) -> None:
        page = audit_html(reply)
        for finding in reply["report"]["findings"]:
            assert finding["meaning"] in page.replace("&#39;", "'")
            if finding["value"] is not None:
                assert f"{finding['value']:.3f}" in page
        assert reply["report"]["content_hash"] in page
        assert page.count("<h2>") == 4

    def test_nothing_is_fetched_and_nothing_runs(self, reply: dict[str, Any]) -> None:
        page = audit_html(reply)
        assert not FETCHES.findall(re.sub(r'xlink:href="#[^"]*"', "", page))
        assert "<script" not in page

    def test_what_a_report_says_is_escaped(self, reply: dict[str, Any]) -> None:
        page = audit_html(reply)
        assert "b&lt;1&gt;" in page
        assert "<new>" not in page

    def test_a_change_of_status_and_the_trend_are_shown(self, reply: dict[str, Any]) -> None:
        page = audit_html(reply)
        assert "green → red since 2026-05-01 10:00 UTC" in page
        assert "Over the audits so far" in page
        first = audit_html({**reply, "changes": [], "trends": []})
        assert "Over the audits so far" not in first

    def test_equal_reports_give_equal_pages(self, reply: dict[str, Any]) -> None:
        assert audit_html(reply) == audit_html(reply)


class TestLoop:
    def test_the_page_holds_table_plot_and_sanity(self, small_loop: Loop) -> None:
        page = loop_html(asdict(small_loop), sanity(small_loop), HEADINGS, tables(small_loop))
        assert page.count("<svg") == 1
        assert sanity(small_loop) in page
        assert not FETCHES.findall(re.sub(r'xlink:href="#[^"]*"', "", page))

    def test_the_file_is_plot_or_page_by_its_name(self, small_loop: Loop, tmp_path: Path) -> None:
        write(small_loop, tmp_path / "loop.svg")
        assert (tmp_path / "loop.svg").read_text() == loop_svg(asdict(small_loop))
        write(small_loop, tmp_path / "loop.html")
        assert (tmp_path / "loop.html").read_text().startswith("<!doctype html>")
        with pytest.raises(InvalidInput, match=r"\.svg or \.html"):
            require_writable(tmp_path / "loop.pdf")

    def test_the_verdict_says_what_is_reached_and_what_is_missed(self, small_loop: Loop) -> None:
        aims, shipped, chosen = verdicts(small_loop)
        assert "growth ≤ 1.5" in aims
        assert shipped.startswith("0.5 nats, in force: N = 16")
        assert chosen.startswith("0.1 nats, chosen")
        assert ("reached" if small_loop.shipped[0].reached else "missed") in shipped

    def test_an_audit_shows_the_served_arm_then_both_nulls(self, artifact: Artifact) -> None:
        assert [row.arm for row in audited_loop(artifact)] == ["budget", "aggregate", "random"]


def test_the_whole_loop_runs_on_the_shipped_artifact() -> None:
    told: list[int] = []
    result = loop(None, people=6, seeds=1, rounds=4, seed=0, jobs=2, progress=told.append)
    assert told[0] == len(told) - 1
    assert {row.user_model for row in result.rows} >= {"fixed", "assimilating", "bounded_confidence", "backlash"}
    assert {row.draws for row in result.rows} == {4, 16, 64}
    assert len({point.divergence for point in result.shipped}) == 1
