"""Learning curves: AUC against the number of answers, one panel per suite, on a white card.

Keel is the thick line, with its 95 % band; its other question rules are thin lines of its colour, peers have colours of
their own. Names stand at the ends of the lines, apart from each other where lines meet.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from bench.compare.report import KEEL
from bench.compare.terminal import many

INK, SOFT, RULE, CARD = "#1f2a33", "#5d6871", "#e4e0d7", "#ffffff"
TEAL, FAINT = "#0b5563", "#4d8a96"
COLOURS = {
    "aggregate": "#1f2a33",
    "length": "#7d858b",
    "ridge": "#b07aa1",
    "pref": "#d55e00",
    "pref-published": "#e8935a",
    "pref-tuned": "#a84300",
    "lore": "#a86f00",
    "rfm": "#7b4b94",
    "pal": "#c2417c",
    "vpl": "#8c564b",
    "gp-linear-eubo": "#3f6fb5",
    "gp-rbf-bald": "#6c8ebf",
    "in-context": "#2e7d32",
    "persona": "#81a86b",
}
DASHES = {"aggregate": "--", "length": ":", "keel-shuffled": ":"}
COLUMNS = 2
PANEL = (6.4, 4.3)
"""Width and height of a panel, inches."""
PAD = 0.15
LABEL = 7.5
"""Height of a name, points."""
LEADING = 1.25
STYLE: dict[Any, Any] = {"font.family": "DejaVu Sans", "svg.hashsalt": "keel", "svg.fonttype": "path"}


def draw(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write one panel per suite to ``path`` (SVG or PNG)."""
    with matplotlib.rc_context(STYLE):
        columns = min(COLUMNS, len(results))
        rows = -(-len(results) // columns)
        engine = ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD)
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows), facecolor=CARD, layout=engine)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, result in zip(axes, results, strict=False):
            _panel(panel, result)
        for panel in axes[len(results) :]:
            panel.set_axis_off()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def _panel(axes: Axes, result: Mapping[str, Any]) -> None:
    stages = result["stages"]
    curves = {name: _curve(method["auc"], stages) for name, method in result["methods"].items()}
    curves = {name: curve for name, curve in curves.items() if np.isfinite(curve).all()}
    places = np.sqrt(stages)
    if KEEL in curves:
        band = np.array([_ends(result["methods"][KEEL]["auc_ci"][str(k)]) for k in stages]).T
        axes.fill_between(places, *band, color=TEAL, alpha=0.13, linewidth=0)
    for name, curve in curves.items():
        axes.plot(places, curve, **_style(name))
    axes.set_xlim(places[0], places[-1])
    axes.set_xticks(places, [str(k) for k in stages])
    _dress(axes, result)
    people = {name: (result["methods"][name]["subsample"] or {}).get("people") for name in curves}
    notes = {name: f" ({count} people)" if count else "" for name, count in people.items()}
    _names(axes, {name: float(curve[-1]) for name, curve in curves.items()}, notes)


def _dress(axes: Axes, result: Mapping[str, Any]) -> None:
    title = f"{result['suite']}  ({result['people']} people, {many(result['seeds'], 'seed')})"
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)
    axes.set_xlabel("answers (√ scale)", fontsize=8.5, color=SOFT)
    axes.set_ylabel("AUC on held-out targets", fontsize=8.5, color=SOFT)
    axes.tick_params(colors=SOFT, labelsize=8, length=0)
    axes.grid(color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _names(axes: Axes, ends: Mapping[str, float], notes: Mapping[str, str]) -> None:
    """Names right of the lines' ends, top to bottom as the lines end, with a thin line from each to its own."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    height = LABEL * LEADING / 72 / (PANEL[1] * 0.78) * (high - low)
    order = sorted(ends, key=lambda name: -ends[name])
    heights = spread(np.array([ends[name] for name in order]), height, (low, high))
    left, edge = axes.get_xlim()
    gap = 0.035 * (edge - left)
    for name, place in zip(order, heights, strict=True):
        style = _style(name)
        line = {"color": style["color"], "linewidth": 0.6, "alpha": 0.6, "clip_on": False}
        axes.plot([edge, edge + gap], [ends[name], place], **line)
        weight = "bold" if name == KEEL else "normal"
        text = f"{name}  {ends[name]:.3f}{notes[name]}"
        axes.text(edge + 1.3 * gap, place, text, fontsize=LABEL, color=style["color"], weight=weight, va="center")


def spread(values: NDArray[np.float64], distance: float, limits: tuple[float, float]) -> NDArray[np.float64]:
    """Falling ``values`` (n,) moved as little as needed to lie ``distance`` apart within limits, where these allow it.

    Neighbours that are too close become a block around their own mean (pool adjacent violators).
    """
    steps = distance * np.arange(len(values))
    blocks: list[list[float]] = []
    for value in values + steps:
        blocks.append([float(value)])
        while len(blocks) > 1 and np.mean(blocks[-2]) < np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    level = np.concatenate([np.full(len(block), np.mean(block)) for block in blocks])
    low, high = limits[0] + steps[-1], limits[1]
    places: NDArray[np.float64] = np.clip(level, min(low, high), high) - steps
    return places


def _style(name: str) -> dict[str, Any]:
    if name == KEEL:
        return {"color": TEAL, "linewidth": 3.0, "zorder": 5, "solid_capstyle": "round"}
    colour = COLOURS.get(name, FAINT)
    return {"color": colour, "linewidth": 1.1, "linestyle": DASHES.get(name, "-"), "zorder": 3}


def _curve(by_stage: Mapping[str, float | None], stages: Sequence[int]) -> NDArray[np.float64]:
    return np.array([_number(by_stage[str(k)]) for k in stages])


def _ends(interval: Sequence[float | None]) -> list[float]:
    return [_number(end) for end in interval]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
