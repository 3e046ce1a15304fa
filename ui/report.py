"""An audit's findings as HTML: a table with one row a metric, and the status that the whole report deserves.

A gauge runs from 0 to a little beyond the largest of limits and interval; it marks both limits, interval and value.
"""

from html import escape
from typing import Any

from ui.parts import chip, number

ROOM = 1.15
BOUNDS = ("low", "high", "amber", "red")
MEANINGS = {
    1: "How differently answers are ordered for a person than for everybody.",
    2: "How often the best of 16 for a person is one that everybody finds clearly worse.",
    3: "How often a person's first choice lies outside everybody's best quarter.",
    4: "How much more often a wrong statement that agrees with the person is preferred.",
    5: "How much truth is lost in what is served.",
    6: "How little two people's lists for one prompt have in common.",
    7: "How far the views on show are from the views there are.",
    8: "How different from each other the top answers still are.",
    9: "How much further apart people move when the service feeds on its own choices.",
    10: "How far Keel's stated chances are from what people then chose.",
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
    head = "<tr><th>Metric</th><th>Value, 95 % interval</th><th>Limits</th><th>Nulls</th><th>Status</th></tr>"
    return f'<table class="audit"><thead>{head}</thead><tbody>{"".join(map(row, findings))}</tbody></table>'


def row(finding: dict[str, Any]) -> str:
    nulls = "<br>".join(f"{escape(kind)} {number(value)}" for kind, value in finding["nulls"].items())
    limits = f"amber {number(finding['amber'])}<br>red {number(finding['red'])}"
    return (
        f'<tr><td>{metric(finding)}</td><td data-label="Value">{value(finding)}</td>'
        f'<td data-label="Limits">{limits}</td><td data-label="Nulls">{nulls}</td>'
        f"<td>{chip(finding['status'])}</td></tr>"
    )


def metric(finding: dict[str, Any]) -> str:
    """HTML of number, name, meaning and note."""
    notes = (MEANINGS.get(finding["number"], ""), sentence(finding["note"]))
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
