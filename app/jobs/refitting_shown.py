"""A refit as people read it."""

from dataclasses import asdict

import typer

from app.jobs.refitting import Refit
from app.terminal import show, table


def present(refit: Refit, as_json: bool) -> None:
    """On standard output: one JSON object, or the heads before and after and how held-out people are predicted."""
    headings = ("head", "mean before", "std before", "mean after", "std after")
    show(refit, as_json, table(headings, (tuple(asdict(head).values()) for head in refit.heads)))
    if as_json:
        return
    held = refit.held_out
    typer.echo(f"people: {refit.people} with {refit.answers} answers; left out: {refit.left_out}")
    typer.echo(f"strength: {refit.strength}")
    typer.echo(
        f"held-out log-likelihood, nats per answer ({held.answers} of {held.people} people): old {held.old:.4f}, "
        f"new {held.new:.4f}, difference {held.difference:+.4f} [{held.low:+.4f}, {held.high:+.4f}]"
    )
    if refit.written is not None:
        typer.echo(f"population {refit.old_version} → {refit.new_version} in {refit.written}")
        typer.echo(f"the guard was tuned for the old one: keel guard tune --basis {refit.written} --write")
