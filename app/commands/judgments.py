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
    out: Annotated[Path, typer.Option(help="output folder (new or empty)")],
    cache: Annotated[Path, typer.Option(help="folder that caches vectors and features")] = Path("~/.cache/keel"),
    encoder: Annotated[str, typer.Option(help="sentence encoder: minilm, a folder, or a model name")] = "minilm",
    tune: Annotated[bool, typer.Option("--tune", help="first fine-tune the encoder (LoRA)")] = False,
    heads: Annotated[str, typer.Option(help="number of learned taste heads; chosen: cross-validation")] = "chosen",
    ridge: Annotated[str, typer.Option(help="ridge penalty on their weights; chosen: cross-validation")] = "chosen",
    named: Annotated[bool, typer.Option("--named/--no-named", help="include the named heads, such as brevity")] = True,
    prior: Annotated[
        str | None, typer.Option(help="default: spreads of people along the named heads as shipped")
    ] = None,
    label_noise: Annotated[str, typer.Option(help="share of random judgments; chosen: cross-validation")] = "0",
    per_person: Annotated[int | None, typer.Option(help="largest number of judgments per person, at random")] = None,
    ensemble: Annotated[int, typer.Option(help="number of bootstrap refits of the heads")] = 3,
    seed: Annotated[int, typer.Option(help="random seed")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="continue an interrupted run")] = False,
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
        prior=prior,
        label_noise=chosen_or(label_noise, "--label-noise", float),
        per_person=per_person,
        ensemble=ensemble,
        seed=seed,
    )
    run(request, resume, as_json)


@commands.command()
def calibrate(
    data: Annotated[Path, typer.Option(help="file or folder of judgments of pairs of texts, as keel train reads it")],
    basis: Basis = None,
    cache: Annotated[Path, typer.Option(help="folder that caches vectors")] = Path("~/.cache/keel"),
    margin: Annotated[float, typer.Option(help="largest calibration error (ECE) that passes")] = 0.05,
    people: Annotated[int, typer.Option(min=1, help="largest number of people measured, a random sample")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="random seed")] = 0,
    as_json: Json = False,
) -> None:
    """Test the calibration of predicted choices on these judgments; exit code 0 only for PASS."""
    from app.jobs.calibrating import calibrate as run
    from app.jobs.calibrating_shown import present

    result = run(data.expanduser(), basis or Settings().basis, cache.expanduser(), margin, people, seed)
    present(result, as_json)
    raise typer.Exit(0 if result.passed else 1)
