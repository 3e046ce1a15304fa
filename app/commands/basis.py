"""``keel basis``: base rewards from sources of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import Json
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Build a basis from a recipe, and check its heads.")


@commands.command("build")
def build(
    recipe: Annotated[Path, typer.Option(help="TOML file of sources and heads: docs/sources.md")],
    out: Annotated[Path, typer.Option(help="output folder (new)")],
    seed: Annotated[int, typer.Option(help="random seed of the guard's tuning")] = 0,
    as_json: Json = False,
) -> None:
    """Read the bank and the reference set with the recipe's sources, and write a basis with its heads."""
    from app.jobs import building, building_shown
    from app.jobs.listening import listening

    with listening() as listener:
        built = building.build(recipe.expanduser(), out.expanduser(), seed, Settings().data_dir, listener)
    building_shown.present(built, as_json)


@commands.command("check")
def check(
    folder: Annotated[Path | None, typer.Argument(help="folder of a basis; default: the shipped one")] = None,
    as_json: Json = False,
) -> None:
    """Print what each head measures and what its sources cost; warnings refuse nothing."""
    from app.jobs import checking, checking_shown

    checking_shown.present(checking.check(folder, Settings().data_dir), as_json)
