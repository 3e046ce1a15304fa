"""Output of ``keel calibrate``."""

from dataclasses import astuple

from rich.text import Text

from app.jobs.calibrating import Calibrated
from app.terminal import Screen, show, table

SLICES = ("slice", "pairs", "people", "ECE", "low", "high", "Brier", "skill", "verdict")
MAPS = ("chances", "ECE", "Brier", "skill")


def present(result: Calibrated, as_json: bool) -> None:
    """Every slice with its verdict, what recalibration would reach, and the verdict of all."""
    gate = result.release
    if as_json:
        show(result, as_json)
        return
    console = Screen()
    console.print(table(SLICES, (astuple(part) for part in gate.slices)))
    console.print(table(MAPS, ((name, *figures.values()) for name, figures in result.recalibrated.items())))
    said = (
        f"{gate.verdict.value.upper()} at margin {gate.margin:g} for texts within {gate.farthest:.2f} of the reference"
    )
    console.print(Text(f"{said}; {gate.beyond} pairs beyond were not judged."))
