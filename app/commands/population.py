"""``keel population``: refit a population, and list those learned from people who were erased."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.options import DataDir, Json, settings_of
from app.terminal import confirm, fail, say, show, table

commands = typer.Typer(no_args_is_help=True, help="Manage the population, the prior over people's coefficients.")


@commands.command("refit")
def refit(
    basis: Annotated[str, typer.Option(help="folder of the basis, or: shipped")],
    without: Annotated[list[str] | None, typer.Option(help="person of the training run to forget")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="learn from the answers in this folder")] = None,
    out: Annotated[Path | None, typer.Option(help="output folder; default: refit a training run in place")] = None,
    tenant: Annotated[str, typer.Option(help="tenant whose people are used, with --data-dir")] = "local",
    per_person: Annotated[int, typer.Option(min=5, help="largest number of answers per person, with --data-dir")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="random seed of the folds, with --data-dir")] = 0,
    force: Annotated[bool, typer.Option("--force", help="write a result that predicts worse")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask for confirmation")] = False,
    as_json: Json = False,
) -> None:
    """Refit the population: from a training run's people, or with --data-dir from a service's answers.

    The result is a new version. keel migrate moves people to it. The cap on answers limits the influence of one
    account. A trimmed mean over people limits the influence of a few accounts together.
    """
    from app.jobs import refitting
    from app.jobs.refitting_shown import present

    folder = None if basis == "shipped" else Path(basis)
    if data_dir is None:
        result = refitting.refit_training(refitting.trained(folder), without or (), out)
    else:
        if out is None or without:
            raise typer.BadParameter("--data-dir goes with --out and without --without (keel erase removes a person)")
        if not yes:
            confirm(f"Learn a population from the answers in {data_dir}?")
        result = refitting.refit_service(folder, data_dir, out, tenant, per_person, seed, force)
    present(result, as_json)
    if result.written is None:
        fail("the new population predicts held-out people worse and was not written; --force writes it", 1)


@commands.command()
def due(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List populations learned from erased people, with their deadlines; exit code 1 if a deadline has passed."""
    from app.profiles.artifact_history import retirements
    from app.profiles.retiring import REMEDY
    from app.storage.opening import opened

    settings = settings_of(data_dir=data_dir)
    settings.require_database()

    async def found() -> list[dict[str, Any]]:
        async with opened(settings) as store:
            going = await retirements(store, settings.erasure_days)
        return [{**asdict(each), "deadline": each.deadline.isoformat(), "due": each.due} for _, each in going]

    rows = asyncio.run(found())
    headings = ("population", "people erased", "deadline", "past")
    show({"populations": rows}, as_json, table(headings, (tuple(row.values()) for row in rows)))
    if rows:
        say(REMEDY, err=True)
    raise typer.Exit(int(any(row["due"] for row in rows)))
