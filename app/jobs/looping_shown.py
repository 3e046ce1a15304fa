"""``keel loop`` on the terminal and in files: tables, a plot and what the figures say."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plotext
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.jobs.looping import Loop
from app.terminal import Screen, table
from elicitation.errors import InvalidInput
from elicitation.statistics import Interval
from safeguards.loop.grid import GROWTH_MAX, JUDGED_DRIFT, SHARE_MIN, TRUTH_GAP_MAX, Point
from safeguards.loop.measure import Row
from safeguards.loop.serving import Arm

HEADINGS = ("people", "drift", "N", "arm", "growth of variance", "truth lost, SD", "utility kept", "truth", "utility")
PLOT_SIZE = (76, 18)
MARKERS: dict[Arm, str] = {
    "aggregate": "a",
    "unguarded": "u",
    "random": "r",
    "budget": "g",
    "band": "b",
    "both": "+",
}
SUFFIXES = (".svg", ".html")


@contextmanager
def progress() -> Iterator[Callable[[int], None]]:
    """A bar on standard error; the callback takes the number of parts first and then 0 for each one done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Screen(stderr=True)) as bar:
        task = bar.add_task("loops", total=None)

        def tell(parts: int) -> None:
            bar.update(task, total=parts) if parts else bar.advance(task)

        yield tell


def present(result: Loop) -> None:
    """Print the result for a person to read."""
    console = Screen()
    for heading, rows in tables(result):
        console.print(f"\n[bold]{heading}[/]")
        console.print(table(HEADINGS, rows))
    console.print(_plot(result), markup=False, highlight=False)
    for line in (sanity(result), *verdicts(result)):
        console.print(line)


def require_writable(out: Path) -> None:
    """Raises InvalidInput before the work starts when the file's name does not say what it shall hold."""
    if out.suffix not in SUFFIXES:
        raise InvalidInput(f"{out.name} ends in {out.suffix or 'nothing'}; name an {' or '.join(SUFFIXES)} file")


def write(result: Loop, out: Path) -> None:
    """The plot alone, or the whole report."""
    from app.report.plots import loop_svg
    from app.report.render import loop_html

    content = asdict(result)
    text = loop_svg(content) if out.suffix == ".svg" else loop_html(content, sanity(result), HEADINGS, tables(result))
    out.write_text(text, encoding="utf-8")


def tables(result: Loop) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """The judged drift in full, then the trade-off curve."""
    judged = [_cells(row) for row in result.rows if row.drift in (0, JUDGED_DRIFT)]
    curve = [(*_cells(point.row)[:3], f"ε = {point.divergence:g}", *_cells(point.row)[4:]) for point in result.curve]
    return [(f"Without drift and at drift {JUDGED_DRIFT:g}", judged), ("Divergence budgets, nats", curve)]


def sanity(result: Loop) -> str:
    if result.sane:
        return "Without drift no arm changes the variance between people, and the service believes in what there is."
    return "WITHOUT DRIFT THE VARIANCE CHANGES: the harness itself polarises, and nothing here can be trusted."


def verdicts(result: Loop) -> list[str]:
    """Results of the budget in force, and the budget that the curve gives."""
    aims = f"growth ≤ {GROWTH_MAX:g}, truth lost ≤ {TRUTH_GAP_MAX:g} SD, utility kept ≥ {SHARE_MIN:.0%}"
    chosen = _verdict("chosen by the curve, on other people", result.chosen)
    return [f"Aims at drift {JUDGED_DRIFT:g}: {aims}.", _verdict("in force", result.shipped), chosen]


def _verdict(what: str, points: Sequence[Point]) -> str:
    parts = [
        f"N = {point.row.draws} {'reached' if point.reached else 'missed'} (growth {point.row.growth.value:.2f}, "
        f"truth lost {point.row.truth_gap.value:.3f}, kept {_share(point.row.utility_share)})"
        for point in points
    ]
    return f"{points[0].divergence:g} nats, {what}: {'; '.join(parts)}."


def _cells(row: Row) -> tuple[Any, ...]:
    figures = (_interval(row.growth), _interval(row.truth_gap), _share(row.utility_share))
    return (row.user_model, f"{row.drift:g}", row.draws, row.arm, *figures, f"{row.truth:.2f}", f"{row.utility:.2f}")


def _interval(interval: Interval) -> str:
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _share(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.value:.0%}"


def _plot(result: Loop) -> str:
    """Variance between people over the rounds, best of 16, as lines of text."""
    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(False, False)
    figure.plot_size(*PLOT_SIZE)
    for row in result.rows:
        if (row.user_model, row.drift, row.draws) != ("assimilating", JUDGED_DRIFT, 16):
            continue
        growth = [value / row.variance[0] for value in row.variance]
        curve = figure.signal(list(range(len(growth))), growth, marker=MARKERS[row.arm])
        curve.lines()
        curve.label(f"{row.arm} ({MARKERS[row.arm]})")
        figure.draw(curve)
    figure.label("round: variance between assimilating people, against the start", "x")
    return str(figure.build().string(colorless=True))
