"""``keel doctor``: faults of an installation and what mends them."""

import typer

from app.commands.options import Basis, DataDir, Json, settings_of
from app.terminal import show, table

commands = typer.Typer()


@commands.command()
def doctor(data_dir: DataDir = None, basis: Basis = None, as_json: Json = False) -> None:
    """Check configuration, permissions, store, clock, disk, basis and encoder; exit code 1 if there is a fault.

    Nothing is changed.
    """
    from app.jobs.doctor import examined, report

    result = report(examined(settings_of(data_dir=data_dir, basis=basis)))
    rows = ((one["part"], one["status"], one["found"], one["remedy"]) for one in result["findings"])
    show(result, as_json, table(("part", "status", "found", "remedy"), rows, shortened=False))
    raise typer.Exit(int(not result["ok"]))
