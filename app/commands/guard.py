"""``keel guard``: cost and protection of each budget and band."""

from typing import Annotated

import typer

from app.commands.options import Basis, Json
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Tune the guard: its budget and its agreement band.")


@commands.command("tune")
def tune(
    people: Annotated[int, typer.Option(min=1, help="simulated people, drawn from the population prior")] = 100,
    flatterers: Annotated[int, typer.Option(min=2, help="simulated people who always choose agreement")] = 20,
    seed: Annotated[int, typer.Option(help="random seed")] = 0,
    basis: Basis = None,
    write: Annotated[bool, typer.Option(help="write the chosen budget and band to the basis")] = False,
    as_json: Json = False,
) -> None:
    """Print the cost and the protection of each guard, and the choice by the procedure of docs/guard.md."""
    from app.jobs import tuning, tuning_shown
    from reward_bases.artifact import DEFAULT

    settings = Settings()
    folder = basis or settings.basis or DEFAULT
    result = tuning.tune(folder, people, flatterers, seed, settings.data_dir)
    if write:
        tuning.write(result, folder)
    tuning_shown.present(result, as_json)
