"""An audit's findings as HTML: a table with one row a metric, and the status that the whole report deserves.

A gauge runs from 0 to a little beyond the largest of limits and interval; it marks both limits, interval and value.
"""

from html import escape
from typing import Any

from ui.parts import chip, number

ROOM = 1.15
BOUNDS = ("low", "high", "amber", "red")
SOURCES = {
    "reference": ("On the reference set", "Everybody's coefficients, on the same prompts, probes and simulated loop."),
    "served": ("As served", "Real answers and logged rankings. People are compared only between random arms."),
}
VERDICTS = {
    "red": "At least one metric is over its limit.",
    "amber": "Nothing is over its limit, but something needs watching.",
    "inconclusive": "Nothing measured is over its limit, and some metrics have too little data to say.",
    "green": "Every metric is within its limits.",
}


def worst(findings: list[dict[str, Any]]) -> str:
    """The status that the whole report deserves; green only when something was found and all of it is green."""
    found = {finding["status"] for finding in findings}
    if found == {"green"}:
        return "green"
    return next((status for status in ("red", "amber") if status in found), "inconclusive")


def table(findings: list[dict[str, Any]]) -> str:
    names = ("Metric", "Value, 95 % interval", "Limits", "Nulls", "Cohorts", "Status")
    head = f"<tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
    return f'<table class="audit"><thead>{head}</thead><tbody>{"".join(map(row, findings))}</tbody></table>'


def row(finding: dict[str, Any]) -> str:
    nulls, cohorts = (pairs(finding[name]) for name in ("nulls", "cohorts"))
    limits = f"amber {number(finding['amber'])}<br>red {number(finding['red'])}"
    return (
        f'<tr><td>{metric(finding)}</td><td data-label="Value">{value(finding)}</td>'
        f'<td data-label="Limits">{limits}</td><td data-label="Nulls">{nulls}</td>'
        f'<td data-label="Cohorts">{cohorts}</td>'
        f"<td>{chip(finding['status'])}</td></tr>"
    )


def pairs(values: dict[str, float | None]) -> str:
    """HTML of names with their values, one a line; what is unknown is left out."""
    return "<br>".join(f"{escape(name)} {number(value)}" for name, value in values.items() if value is not None) or "–"


def metric(finding: dict[str, Any]) -> str:
    """HTML of number, name, meaning and note."""
    notes = (finding["meaning"], sentence(finding["note"]))
    below = "".join(f"<p>{escape(note)}</p>" for note in notes if note)
    return f"<b>{finding['number']}. {escape(sentence(finding['name']))}</b>{below}"


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


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

    def at(x: float) -> str:
        return f"{100 * min(max(x / top, 0), 1):.1f}%"

    width = at(finding["high"] - finding["low"])
    limits = "".join(f'<s class="{kind}" style="left:{at(finding[kind])}"></s>' for kind in ("amber", "red"))
    interval = f'<i style="left:{at(finding["low"])};width:{width}"></i>'
    return f'<div class="gauge">{interval}{limits}<b style="left:{at(finding["value"])}"></b></div>'


def errors(rates: list[dict[str, Any]]) -> str:
    """HTML of the shares of mistakes under each weighting."""
    head = "<tr><th>Weighting</th><th>Share of mistakes</th><th>95 % interval</th></tr>"
    rows = "".join(
        f"<tr><td>{escape(sentence(rate['weighting']))}</td><td><strong>{rate['value']:.1%}</strong></td>"
        f"<td>{rate['low']:.1%} to {rate['high']:.1%}</td></tr>"
        for rate in rates
    )
    return f'<table class="audit"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def change(one: dict[str, Any]) -> str:
    """A changed status in words."""
    since = one["since"][:16].replace("T", " ")
    name = f"{one['number']}. {sentence(one['name'])} ({one['source']})"
    return f"{name}: {one['before']} → {one['now']} since {since} UTC"
