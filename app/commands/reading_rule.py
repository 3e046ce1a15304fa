"""``keel reread``: a basis that reads responses by the newest rule."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import Json
from app.terminal import show

commands = typer.Typer()


@commands.command()
def reread(
    basis: Annotated[str, typer.Option(help="folder of the basis, or: shipped")],
    out: Annotated[Path, typer.Option(help="output folder (new)")],
    as_json: Json = False,
) -> None:
    """Write a copy of a basis that reads responses by the newest rule; keel migrate moves people to it.

    Heads, population, bank and guard stay. A basis whose training data held thoughts learned from them: train it again.
    """
    from app.jobs.folders import require_new, write_folder
    from reward_bases.artifact import DEFAULT, load_artifact, save_with_reading
    from reward_bases.reading_rule import NEWEST

    source = DEFAULT if basis == "shipped" else Path(basis)
    require_new(out)
    write_folder(out, lambda folder: save_with_reading(source, folder, NEWEST))
    written = load_artifact(out).basis
    show({"folder": str(out), "reading": written.reading, "basis_version": written.version}, as_json)
