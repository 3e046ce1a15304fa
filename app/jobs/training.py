"""``keel train`` in a terminal: progress with rate and time left, the stage of an interruption, and the results."""

import json
from collections.abc import Mapping
from typing import Any

import typer
from rich.text import Text

from app.jobs.listening import listening
from app.terminal import Screen, say, table
from reward_bases.train.request import UNFINISHED, Request

INTERRUPTED = 130
CHOSEN = "chosen"
WITH_INTERVAL = ("auc", "accuracy", "log_likelihood")
WITHOUT = ("brier", "ece")


def run(request: Request, resume: bool, as_json: bool) -> None:
    """Train and print the results; Ctrl-C ends with 130, after naming the stage."""
    from reward_bases.train.run import train

    with listening() as listener:
        try:
            result = train(request, resume, listener)
        except KeyboardInterrupt:
            begun = (request.out / UNFINISHED).is_dir()
            remedy = "the same command with --resume goes on from there" if begun else "nothing was written yet"
            listener.stop(f"keel: stopped while {listener.name}; {remedy}")
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        say(json.dumps({**result, "next": steps(result)}))
    else:
        present(Screen(), result)


def present(console: Screen, result: Mapping[str, Any]) -> None:
    """Figures on held-out people, the verdict, and what to do next."""
    metrics, data = result["metrics"], result["data"]
    if result["already_finished"]:
        console.print(Text(f"{result['folder']} holds this very run, finished before; nothing was done."))
    console.print(
        Text(
            f"Learned {len(result['heads'])} heads from {result['learned_from']['judgments']:,} judgments of "
            f"{result['learned_from']['people']:,} people ({data['name']}): {', '.join(result['heads'])}"
        )
    )
    console.print(
        Text(
            f"{metrics['judgments']:,} judgments of {metrics['people']:,} held-out people, "
            f"held out by {metrics['held_out']}{_folds(metrics)}; 95 % intervals:"
        )
    )
    rows = [["aggregate", *_figures(metrics["aggregate"])]]
    rows += [[f"after {count}", *_figures(stage)] for count, stage in metrics["personal"].items()]
    console.print(table(("answers", "AUC", "accuracy", "log-likelihood", "Brier", "ECE"), rows))
    console.print(Text(metrics["sentence"]))
    for warning in result["warnings"]:
        if warning != metrics["sentence"]:
            console.print(Text(f"Note: {warning}"))
    if metrics["verdict"] != "better":
        console.print(Text("Warning: serving this basis may not be worth it; more judgments per person may help."))
    for step in steps(result):
        console.print(Text(f"  {step}"))


def _folds(metrics: Mapping[str, Any]) -> str:
    """In how many folds, where people were judged in several; cards of 0.1.0 do not say, for they had one."""
    count = metrics.get("folds", 1)
    return f" in {count} folds" if count > 1 else ""


def _figures(figures: Mapping[str, Mapping[str, float | None]]) -> list[Any]:
    return [*(spoken(figures[name]) for name in WITH_INTERVAL), *(figures[name]["value"] for name in WITHOUT)]


def spoken(figure: Mapping[str, float | None]) -> str:
    """A value with its interval."""
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "-"
    return f"{value:.3f} ({low:.2f} to {high:.2f})"


def steps(result: Mapping[str, Any]) -> list[str]:
    """The next command to run."""
    if not result["served"]:
        return []
    return [f"keel guard tune --basis {result['folder']} --write", f"keel serve --basis {result['folder']}"]


def chosen_or(text: str, name: str, kind: type[int] | type[float]) -> Any:
    """None for "chosen", else the number; raises typer.BadParameter."""
    if text == CHOSEN:
        return None
    try:
        return kind(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither {CHOSEN} nor a number", param_hint=name) from None
