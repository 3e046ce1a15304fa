"""Plots as SVG text, drawn by Matplotlib: trends of an audit's findings, and what the closed loop did.

Colours are Okabe and Ito's, and lines differ in dash or marker too, so that a plot reads without colour.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, RULE, TEAL, AMBER, RED = "#1f2a33", "#5d6871", "#e4e0d7", "#0b5563", "#e69f00", "#d55e00"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "svg.hashsalt": "keel",
    "axes.edgecolor": RULE,
    "axes.labelcolor": SOFT,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
ARMS = {
    "aggregate": (INK, "--"),
    "unguarded": (RED, "-"),
    "random": ("#7d858b", ":"),
    "budget": (TEAL, "-"),
    "band": ("#cc79a7", "-."),
    "both": ("#009e73", (0, (5, 1))),
}
MARKERS = {4: "o", 16: "s", 64: "^"}
COLUMNS = 3


def trend_svg(trends: Sequence[Mapping[str, Any]], limits: Mapping[tuple[int, str, str], tuple[float, float]]) -> str:
    """One small panel per finding with at least two values: value, interval, amber and red limit over time."""
    shown = [trend for trend in trends if sum(point["value"] is not None for point in trend["points"]) > 1]
    if not shown:
        return ""
    rows = -(-len(shown) // COLUMNS)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes, trend in zip(panels, shown, strict=False):
            _trend(axes, trend, limits[trend["number"], trend["name"], trend["source"]])
        for axes in panels[len(shown) :]:
            axes.set_axis_off()

    return svg((9.6, 1.9 * rows), draw)


def loop_svg(result: Mapping[str, Any]) -> str:
    """Variance between people over the rounds, and what each divergence budget keeps and loses."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _variance(left, result["rows"])
        _tradeoff(right, result)

    return svg((9.6, 3.8), draw)


def svg(size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """The SVG that ``draw`` makes of a figure of this size in inches."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _trend(axes: Axes, trend: Mapping[str, Any], limits: tuple[float, float]) -> None:
    points = [point for point in trend["points"] if point["value"] is not None]
    places = range(len(points))
    low, value, high = ([point[name] for point in points] for name in ("low", "value", "high"))
    axes.fill_between(places, low, high, color=TEAL, alpha=0.18, linewidth=0)
    axes.plot(places, value, color=TEAL, marker="o", markersize=3)
    for limit, colour, dash in zip(limits, (AMBER, RED), ("--", "-"), strict=True):
        axes.axhline(limit, color=colour, linewidth=1, linestyle=dash)
    ends = (points[0]["created_at"], points[-1]["created_at"])
    axes.set_xticks((0, places[-1]), [f"{datetime.fromisoformat(end):%d %b %H:%M}" for end in ends])
    axes.set_ylim(bottom=min(0.0, *low))
    axes.set_title(f"{trend['number']}. {trend['name']}, {trend['source']}", fontsize=7.5, loc="left", wrap=True)


def _variance(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    judged = [row for row in rows if (row["user_model"], row["drift"], row["draws"]) == ("assimilating", 0.05, 16)]
    for row in judged:
        colour, dash = ARMS[row["arm"]]
        growth = [value / row["variance"][0] for value in row["variance"]]
        axes.plot(growth, color=colour, linestyle=dash, label=row["arm"])
    axes.axhline(1.5, color=AMBER, linewidth=0.8)
    axes.set(xlabel="round", ylabel="variance between people, against the start")
    axes.set_title("assimilating people, drift 0.05, best of 16", fontsize=8.5, loc="left")
    axes.legend(frameon=False)


def _tradeoff(axes: Axes, result: Mapping[str, Any]) -> None:
    axes.axvspan(0, 0.1, ymin=0.6 / 1.05, color="#009e73", alpha=0.12, linewidth=0)
    useful = [point for point in result["curve"] if point["row"]["utility_share"]]
    for draws, marker in MARKERS.items():
        points = [point for point in useful if point["row"]["draws"] == draws]
        gap = [point["row"]["truth_gap"]["value"] for point in points]
        share = [point["row"]["utility_share"]["value"] for point in points]
        axes.plot(gap, share, color=TEAL, marker=marker, markersize=4, linewidth=1, label=f"best of {draws}")
        for point, x, y in zip(points, gap, share, strict=True):
            if draws == 16:
                axes.annotate(f"{point['divergence']:g}", (x, y), (4, -9), textcoords="offset points", fontsize=6.5)
    axes.set(xlim=0, ylim=(0, 1.05), xlabel="truth lost against the aggregate, SD", ylabel="share of the utility kept")
    axes.set_title("divergence budget in nats; the shaded corner is the aim", fontsize=8.5, loc="left")
    axes.legend(frameon=False, loc="lower right")
