"""The demo's result on the terminal: a table, a plot and a few sentences."""

from typing import Any

import plotext
from rich.table import Table

from app.terminal import Screen

AUC, INTERVALS = "auc_noisy", "auc_noisy_ci"
"""Of labels as noisy as people's answers, which are all that anybody could check a reward against."""
CURVES = {"keel": "Keel", "random": "random questions", "unguarded": "Keel unguarded"}
MARKERS = ("k", "r", "u")
PLOT_SIZE = (76, 20)
STYLES = {"green": "green", "amber": "yellow", "red": "bold red", "inconclusive": "dim"}


def present(result: dict[str, Any]) -> None:
    """Print the result for a person to read."""
    console = Screen()
    console.print(_table(result))
    console.print(_plot(result), markup=False, highlight=False)
    for line in _sentences(result):
        console.print(line)
    console.print(_audit(result))


def _table(result: dict[str, Any]) -> Table:
    table = Table(
        title=f"AUC on unseen answers, labels as noisy as people; mean of {result['people']} simulated people "
        "(95 % interval)",
        title_justify="left",
    )
    table.add_column("answers", justify="right")
    for name in (*CURVES.values(), "oracle", "Keel − random"):
        table.add_column(name, justify="right")
    for k in map(str, result["questions"]):
        cells = [_cell(result[AUC][name][k], result[INTERVALS][name][k]) for name in CURVES]
        gap = result[AUC]["keel"][k] - result[AUC]["random"][k]
        cells += [f"{result[AUC]['oracle']:.3f}", _cell(gap, result[INTERVALS]["keel_minus_random"][k])]
        table.add_row(k, *cells)
    return table


def _cell(value: float, bounds: list[float]) -> str:
    return f"{value:.3f}\n{bounds[0]:.2f} – {bounds[1]:.2f}"


def _plot(result: dict[str, Any]) -> str:
    """AUC by number of answers as lines of text."""
    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(False, False)
    figure.plot_size(*PLOT_SIZE)
    for (name, label), marker in zip(CURVES.items(), MARKERS, strict=True):
        values = list(result[AUC][name].values())
        curve = figure.signal(result["questions"], values, marker=marker)
        curve.lines()
        curve.label(f"{label} ({marker})")
        figure.draw(curve)
    figure.label("answers", "x")
    return str(figure.build().string(colorless=True))


def _sentences(result: dict[str, Any]) -> list[str]:
    best, others = result["best_of_8"], result["left_out_traits"]
    return [
        f"Of the way from the aggregate to the oracle, 5 answers go {result['gap_closed_5']:.0%} and 10 answers "
        f"{result['gap_closed_10']:.0%}.",
        f"Best of 8 after 10 answers: the personal pick beats the aggregate's {best['win_rate_over_aggregate']:.0%} of "
        f"the time, ties counting half.",
        f"People whose tastes no head was taught ({', '.join(others['traits'])}): {others['gap_closed_5']:.0%} and "
        f"{others['gap_closed_10']:.0%}.",
        f"Guard: largest divergence {result['guard_divergence_max']:.3f} of {result['guard_budget']} nats allowed; it "
        f"keeps {result['guard_keeps']:.0%} of the unguarded gain.",
    ]


def _audit(result: dict[str, Any]) -> Table:
    table = Table(title="Audit of everyone the demo met", title_justify="left")
    for name in ("metric", "value", "status"):
        table.add_column(name)
    for name, finding in result["audit"].items():
        value = "–" if finding["value"] is None else f"{finding['value']:.3f}"
        table.add_row(name, value, f"[{STYLES[finding['status']]}]{finding['status']}[/]")
    return table
