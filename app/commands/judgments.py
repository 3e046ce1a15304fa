"""Commands that read a file of people's judgments: ``train`` and ``calibrate``."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import Basis, Json
from app.settings import Settings

commands = typer.Typer()


@commands.command()
def train(
    data: Annotated[Path, typer.Option(help="file or folder of judgments: CSV, JSONL or Parquet, also gzip")],
    out: Annotated[Path, typer.Option(help="folder of the basis to be, not there yet or empty")],
    cache: Annotated[Path, typer.Option(help="where vectors and features are kept")] = Path("~/.cache/keel"),
    encoder: Annotated[str, typer.Option(help="minilm, a folder, or a model's name")] = "minilm",
    tune: Annotated[bool, typer.Option("--tune", help="adapt the encoder to the judgments first (LoRA)")] = False,
    heads: Annotated[str, typer.Option(help="heads to learn beside the named ones, or: chosen")] = "chosen",
    ridge: Annotated[str, typer.Option(help="prior precision of their weights, or: chosen")] = "chosen",
    named: Annotated[bool, typer.Option("--named/--no-named", help="keep the shipped trait heads")] = True,
    label_noise: Annotated[float, typer.Option(help="share of judgments made without looking")] = 0.0,
    per_person: Annotated[int | None, typer.Option(help="most judgments of one person, drawn by lot")] = None,
    ensemble: Annotated[int, typer.Option(help="how many times heads are refitted on people drawn anew")] = 3,
    seed: Annotated[int, typer.Option(help="of everything drawn")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="go on where a run was broken off")] = False,
    as_json: Json = False,
) -> None:
    """Learn base rewards and a population from the judgments of many people."""
    from app.jobs.training import chosen_or, run
    from reward_bases.train.request import Request

    request = Request(
        data=data.expanduser(),
        out=out.expanduser(),
        cache=cache.expanduser(),
        encoder=encoder,
        tune=tune,
        heads=chosen_or(heads, "--heads", int),
        ridge=chosen_or(ridge, "--ridge", float),
        named=named,
        label_noise=label_noise,
        per_person=per_person,
        ensemble=ensemble,
        seed=seed,
    )
    run(request, resume, as_json)


@commands.command()
def calibrate(
    data: Annotated[Path, typer.Option(help="file or folder of judgments as keel train reads it, of pairs of texts")],
    basis: Basis = None,
    cache: Annotated[Path, typer.Option(help="where vectors are kept")] = Path("~/.cache/keel"),
    margin: Annotated[float, typer.Option(help="largest calibration error (ECE) that may pass")] = 0.05,
    people: Annotated[int, typer.Option(min=1, help="most people measured, drawn by lot")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="of everything drawn")] = 0,
    as_json: Json = False,
) -> None:
    """Are predicted choices right on these judgments? Exit code 0 for PASS alone: a gate for releases."""
    from app.jobs.calibrating import calibrate as run
    from app.jobs.calibrating_shown import present

    result = run(data.expanduser(), basis or Settings().basis, cache.expanduser(), margin, people, seed)
    present(result, as_json)
    raise typer.Exit(0 if result.passed else 1)
