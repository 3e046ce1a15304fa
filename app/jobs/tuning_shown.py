"""The trade-off curve of guards in a terminal."""

import plotext

from app.jobs.tuning import Tuning
from app.terminal import say, show, table
from safeguards.flatterers import LIMIT
from safeguards.tradeoff import Row

HEADINGS = (
    "nats",
    "STARC",
    "band",
    "alpha",
    "gain kept",
    "distance",
    "costly flips",
    "common ground lost",
    "flattery, points",
    "at most",
)
MARKERS = "abcdefgh"
PLOT_SIZE = (76, 20)


def present(tuning: Tuning, as_json: bool) -> None:
    """One JSON object, or the table of all guards, their curve, the strata and what was chosen."""
    show(tuning, as_json, table(HEADINGS, map(_cells, tuning.rows)))
    if as_json:
        return
    if tuning.chosen.row.excess:
        say(_plot(tuning))
    for name, stratum in tuning.agreement.items():
        say(
            f"{name} agreement: band {'active' if stratum['active'] else 'inactive'}; length {stratum['norm']:.3f} "
            f"beside {stratum['null']:.3f} of its null; held-out probe AUC {stratum['auc']:.3f} "
            f"[{stratum['auc_low']:.3f}, {stratum['auc_high']:.3f}]"
        )
    say(f"flatterers: {tuning.flattery}")
    row = tuning.chosen.row
    for stage in row.excess:
        say(
            f"  {stage.answers} answers: {stage.mean:.2f} points [{stage.low:.2f}, {stage.high:.2f}] over people, "
            f"up to {stage.high_of_both:.2f} over people and questions"
        )
    say(f"chosen: {row.divergence} nats, STARC {row.starc}, band {row.limit} nats: {tuning.chosen.reason}")


def _cells(row: Row) -> tuple[float | None, ...]:
    return (
        row.divergence,
        row.starc,
        row.limit,
        row.alpha,
        row.gain_kept,
        row.distance,
        row.costly_flips,
        row.common_ground_lost,
        max((stage.mean for stage in row.excess), default=None),
        row.excess_high if row.excess else None,
    )


def _plot(tuning: Tuning) -> str:
    """Flatterers' excess, upper bound, by the gain that people keep: one line per band, at the chosen STARC."""
    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(False, False)
    figure.plot_size(*PLOT_SIZE)
    limits = sorted({row.limit for row in tuning.rows})
    for limit, marker in zip(limits, MARKERS, strict=False):
        rows = [row for row in tuning.rows if row.limit == limit and row.starc == tuning.chosen.row.starc]
        curve = figure.signal([row.gain_kept for row in rows], [row.excess_high for row in rows], marker=marker)
        curve.lines()
        curve.label(f"band ±{limit:g} nats ({marker})")
        figure.draw(curve)
    figure.label(f"gain kept (flattery, points, limit {LIMIT:g})", "x")
    return str(figure.build().string(colorless=True))
