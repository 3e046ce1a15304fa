"""``keel guard``: what each budget and band costs and protects."""

from typing import Annotated

import typer

from app.commands.options import Basis, Json
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="The guard's budget and band.")


@commands.command("tune")
def tune(
    people: Annotated[int, typer.Option(min=1, help="people to draw from the population prior")] = 100,
    flatterers: Annotated[int, typer.Option(min=2, help="simulated people who always pick agreement")] = 20,
    seed: Annotated[int, typer.Option(help="the same seed gives the same curve")] = 0,
    basis: Basis = None,
    write: Annotated[bool, typer.Option(help="make the chosen budget and band the artifact's")] = False,
    as_json: Json = False,
) -> None:
    """Print what each guard costs and protects, and which one the stated procedure chooses."""
    from app.jobs import tuning, tuning_shown
    from reward_bases.artifact import DEFAULT

    folder = basis or Settings().basis or DEFAULT
    result = tuning.tune(folder, people, flatterers, seed)
    if write:
        tuning.write(result, folder)
    tuning_shown.present(result, as_json)
