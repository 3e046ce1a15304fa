"""Audit: is anybody being flattered or walled in? The latest report, one row a metric, and a new one on request."""

from html import escape
from typing import Any

import streamlit as st

import keel
from ui.parts import chip, number
from ui.prose import plain
from ui.session import page, service

ROOM = 1.15
BOUNDS = ("low", "high", "amber", "red")
VERDICTS = {
    "red": "At least one metric is over its limit.",
    "amber": "Nothing is over its limit, but something needs watching.",
    "inconclusive": "Nothing measured is over its limit, and some metrics have too little data to say.",
    "green": "Every metric is within its limits.",
}


def draw() -> None:
    st.header("Audit", anchor=False)
    st.markdown(
        "Is anybody being flattered, or walled in? Beside each metric stands what it reads without personalising "
        "(aggregate) and for a taste drawn by lot (random)."
    )
    if st.button("Run an audit now", type="primary"):
        with st.spinner("Measuring…"):
            stored = service().audit()
    else:
        try:
            stored = service().latest_audit()
        except keel.NotFound:
            st.info("No audit has been run yet.")
            return
    show(stored)


def show(stored: dict[str, Any]) -> None:
    findings = stored["report"]["findings"]
    status = worst(findings)
    st.html(f'<p class="verdict">{chip(status)} {escape(VERDICTS[status])}</p>')
    st.caption(f"Report {stored['audit_id'][:12]} of {plain(stored['created_at'])}")
    st.html(table(findings))


def worst(findings: list[dict[str, Any]]) -> str:
    """The status that the whole report deserves."""
    found = {finding["status"] for finding in findings}
    return next((status for status in ("red", "amber", "inconclusive") if status in found), "green")


def table(findings: list[dict[str, Any]]) -> str:
    head = "<tr><th>Metric</th><th>Value, 95 % interval</th><th>Limits</th><th>Nulls</th><th>Status</th></tr>"
    return f'<table class="audit"><thead>{head}</thead><tbody>{"".join(map(row, findings))}</tbody></table>'


def row(finding: dict[str, Any]) -> str:
    name = f"<b>{finding['number']}. {escape(finding['name'])}</b><p>{escape(finding['note'])}</p>"
    nulls = "<br>".join(f"{escape(kind)} {number(value)}" for kind, value in finding["nulls"].items())
    limits = f"amber {number(finding['amber'])}<br>red {number(finding['red'])}"
    return (
        f'<tr><td>{name}</td><td data-label="Value">{value(finding)}</td><td data-label="Limits">{limits}</td>'
        f'<td data-label="Nulls">{nulls}</td><td>{chip(finding["status"])}</td></tr>'
    )


def value(finding: dict[str, Any]) -> str:
    if finding["value"] is None:
        return "not measured"
    unit = f" {escape(finding['unit'])}" if finding["unit"] else ""
    shown = f"<strong>{number(finding['value'])}</strong>{unit}"
    if any(finding[bound] is None for bound in BOUNDS):
        return shown
    return f"{shown}<br><small>{number(finding['low'])} to {number(finding['high'])}</small>{gauge(finding)}"


def gauge(finding: dict[str, Any]) -> str:
    """HTML of a scale from 0 with the two limits, the interval and the value."""
    top = ROOM * max(finding["red"], finding["amber"], finding["high"])

    def place(x: float) -> str:
        return f"{100 * min(max(x / top, 0), 1):.1f}%"

    width = place(finding["high"] - finding["low"])
    limits = "".join(f'<s class="{kind}" style="left:{place(finding[kind])}"></s>' for kind in ("amber", "red"))
    interval = f'<i style="left:{place(finding["low"])};width:{width}"></i>'
    return f'<div class="gauge">{limits}{interval}<b style="left:{place(finding["value"])}"></b></div>'


page(draw)
