"""A checked basis in a terminal."""

from dataclasses import asdict

from app.jobs.checking import Checked
from app.terminal import Screen, say, show, table

HEADS = ("head", "spread", "length", "most like", "correlation")
SOURCES = ("source", "kind", "version", "seconds per 1,000", "calls per 1,000", "difference, spreads", "failed")


def present(checked: Checked, as_json: bool) -> None:
    """One JSON object, or heads, sources and warnings."""
    show(checked, as_json, table(HEADS, (tuple(asdict(head).values()) for head in checked.heads)))
    if as_json:
        return
    if checked.sources:
        Screen().print(table(SOURCES, (tuple(asdict(source).values()) for source in checked.sources)))
    for warning in checked.warnings:
        say(f"warning: {warning}")
