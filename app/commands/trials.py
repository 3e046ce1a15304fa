"""Experiments with simulated people and attacks: ``demo``, ``loop``, ``attack``, ``bench``."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import Basis, Json
from app.settings import Settings
from app.terminal import Screen, fail, say, show

commands = typer.Typer()
CHECKOUT = "benchmarks run from a checkout; clone the repository and run keel bench in its folder"


@commands.command()
def demo(
    people: Annotated[int, typer.Option(min=2, help="simulated people of each kind")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="random seed")] = 0,
    as_json: Json = False,
) -> None:
    """Simulated people answer questions of a new service, which is then tested on unseen texts and audited."""
    from app.demo.run import run
    from app.demo.show import present

    result = run(people, seed)
    if as_json:
        show(result, as_json)
    else:
        present(result)


@commands.command()
def loop(
    people: Annotated[int, typer.Option(min=2, help="simulated people per seed")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="number of repetitions, each with other people")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="number of rounds of serving and answering")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="random seed")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="number of threads")] = 2,
    out: Annotated[Path | None, typer.Option(help="also write a plot (.svg) or report (.html)")] = None,
    basis: Basis = None,
    as_json: Json = False,
) -> None:
    """Simulate the closed loop: people are served, answer and change, with and without each part of the guard."""
    from app.jobs import looping_shown as loop_shown
    from app.jobs.looping import loop as run

    if out is not None:
        loop_shown.require_writable(out)
    with loop_shown.progress() as tell:
        result = run(basis or Settings().basis, people, seeds, rounds, seed, jobs, tell)
    if out is not None:
        loop_shown.write(result, out)
    if as_json:
        show(result, as_json)
    else:
        loop_shown.present(result)


@commands.command()
def attack(basis: Basis = None, as_json: Json = False) -> None:
    """Attack a new service and print each result beside its limit; exit code 1 if a limit is exceeded."""

    from app.attacks.run import run, scoreboard

    with Screen(stderr=True).status("service") as status:
        board = run(basis or Settings().basis, status.update)
    show(board.to_dict(), as_json, scoreboard(board))
    raise typer.Exit(int(not all(attack.passed for attack in board.attacks)))


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(context: typer.Context) -> None:
    """Compare Keel with published methods, or measure its speed (needs a checkout)."""
    if not Path("bench/__main__.py").is_file():
        if "--help" in context.args:
            say(CHECKOUT)
            return
        fail(CHECKOUT, 1)
    command = [sys.executable, "-m", "bench", *context.args]
    raise SystemExit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own interpreter
