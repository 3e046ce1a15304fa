"""Reports as one HTML file each, without network, scripts or files beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.report.plots import loop_svg, trend_svg

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
VERDICTS = {
    "red": "At least one metric is over its limit.",
    "amber": "Nothing is over its limit, but something needs watching.",
    "inconclusive": "Nothing measured is over its limit, and some metrics have too little data to say.",
    "green": "Every metric is within its limits.",
}
SOURCES = (
    ("reference", "On the reference set", "Everybody's coefficients as served, on the same prompts, probes and loop."),
    ("served", "As served", "Real answers and logged rankings; people are compared only between random arms."),
)


def audit_html(stored: Mapping[str, Any]) -> str:
    """An audit as ``POST /v1/audits`` replies it."""
    report = stored["report"]
    limits = {(f["number"], f["name"], f["source"]): (f["amber"], f["red"]) for f in report["findings"]}
    return TEMPLATES.get_template("audit.html").render(
        title="Keel audit",
        report=report,
        verdict=VERDICTS[report["status"]],
        sources=SOURCES,
        changes=stored["changes"],
        created_at=stored["created_at"],
        trend=Markup(trend_svg(stored["trends"], limits)),  # noqa: S704 - drawn here
    )


def loop_html(
    result: Mapping[str, Any], sanity: str, headings: Sequence[str], tables: Sequence[tuple[str, Sequence[Any]]]
) -> str:
    """The closed loop's result, with its tables as they stand in the terminal."""
    return TEMPLATES.get_template("loop.html").render(
        title="Keel closed loop",
        result=result,
        sanity=sanity,
        headings=headings,
        tables=tables,
        plot=Markup(loop_svg(result)),  # noqa: S704 - drawn here
    )
