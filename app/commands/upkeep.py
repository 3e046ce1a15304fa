"""``keel migrate`` and ``keel backup``: upkeep of a service."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import Basis, DataDir, Json, settings_of
from app.terminal import confirm, say, show, table

commands = typer.Typer()


@commands.command()
def migrate(
    data_dir: DataDir = None,
    basis: Basis = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask for confirmation")] = False,
    as_json: Json = False,
) -> None:
    """Move people to another basis, population, choice model or guard, after a list of the changes per person.

    Answers are replayed; earlier versions can still be pinned. Stop the service, migrate, start it with the basis.
    """
    from app.jobs.migrating import migrate as run

    settings = settings_of(data_dir=data_dir, basis=basis)
    planned = asyncio.run(run(settings, write=False))
    headings = ("tenant", "person", "version before", "version after", "head that changes most", "change, nats")
    shown = table(headings, (tuple(asdict(move).values()) for move in planned.people))
    if not as_json:
        show(planned, as_json, shown)
    if planned.old == planned.new:
        say(f"nothing to do: {planned.new} is in force", err=True)
    elif not yes:
        confirm(f"Move {len(planned.people)} people from {planned.old} to {planned.new}?")
    asyncio.run(run(settings, write=True))
    if as_json:
        show(planned, as_json)


@commands.command()
def backup(
    file: Annotated[Path, typer.Argument(help="new file")], data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Copy the database to a file while the service runs. To restore, put the file in a data folder as keel.db."""
    from app.storage.backup import back_up

    show(back_up(settings_of(data_dir=data_dir).require_database(), file), as_json)
