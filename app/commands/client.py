"""Commands for a running service: ``ask``, ``score``, ``rank``, ``profile``, ``audit``, ``export``, ``erase``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import Json, Url, connect
from app.people.export_shape import Shape
from app.terminal import confirm, converse, say, show, table

commands = typer.Typer()
User = Annotated[str, typer.Option("--user", help="id of the person")]
AnyUser = Annotated[str | None, typer.Option("--user", help="id of the person; without it the aggregate")]


@commands.command()
def ask(user: User = "me", url: Url = None, as_json: Json = False) -> None:
    """Answer questions in the terminal until no further question is worth asking."""
    with connect(url) as client:
        show(converse(client, user), as_json)


@commands.command()
def score(
    prompt: Annotated[str, typer.Argument(help="the prompt")],
    responses: Annotated[list[str], typer.Argument(help="responses to score")],
    user: AnyUser = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Print the reward of each response, in nats, and its score between 0 and 1."""
    with connect(url) as client:
        scores = client.score([prompt] * len(responses), responses, user_id=user)
    rows = zip(scores.rewards, scores.scores, responses, strict=True)
    show(scores, as_json, table(("reward", "score", "response"), rows))


@commands.command()
def rank(
    prompt: Annotated[str, typer.Argument(help="the prompt")],
    candidates: Annotated[list[str], typer.Argument(help="responses to rank")],
    user: AnyUser = None,
    rule: Annotated[str, typer.Option(help="ranking rule: mean, lcb, pessimistic, drro, soft or brme")] = "mean",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Rank responses, best first."""
    with connect(url) as client:
        ranking = client.rank(prompt, candidates, user_id=user, rule=rule)
    rows = ((r.score, r.probability, candidates[r.index]) for r in ranking.results)
    show(ranking, as_json, table(("score", "probability", "response"), rows))


@commands.command()
def profile(user: User = "me", url: Url = None, as_json: Json = False) -> None:
    """Print the profile of a person: coefficients, uncertainty and statements in words."""
    with connect(url) as client:
        known = client.profile(user)
    rows = ((head.name, head.mean, head.std, head.aggregate, head.guarded) for head in known.heads)
    show(known, as_json, table(("head", "mean", "std", "aggregate", "guarded"), rows))
    if not as_json:
        for statement in known.statements:
            say(f"{statement.text} ({statement.confidence:.0%})")


@commands.command()
def audit(
    html: Annotated[Path | None, typer.Option(help="also write the report, with its plots, to this file")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Measure flattery and echo chambers over all people; exit code 1 if a metric is red."""
    with connect(url) as client:
        stored = client.audit()
    if html is not None:
        from app.report.render import audit_html

        html.write_text(audit_html(stored), encoding="utf-8")
    report = stored["report"]
    columns = ("number", "name", "source", "value", "low", "high", "n", "status")
    rows = (tuple(finding[column] for column in columns) for finding in report["findings"])
    show(stored, as_json, table(("#", "metric", *columns[2:]), rows))
    raise typer.Exit(int(report["status"] == "red"))


@commands.command()
def export(
    user: User = "me",
    shape: Annotated[Shape | None, typer.Option("--format", help="JSON lines of answers for a trainer")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Print all data about a person as JSON, or the answers as rows for a trainer."""
    with connect(url) as client:
        held = client.export(user) if shape is None else {"rows": client.export_rows(user, shape)}
    if shape is not None and not as_json:
        for row in held["rows"]:
            say(json.dumps(row, ensure_ascii=False))
        return
    say(json.dumps(held) if as_json else json.dumps(held, indent=2, ensure_ascii=False))


@commands.command()
def erase(
    user: Annotated[str, typer.Option("--user", help="id of the person to erase")],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask for confirmation")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Erase every trace of a person. This cannot be undone."""
    if not yes:
        confirm(f"Erase everything about {user}?")
    with connect(url) as client:
        client.forget(user)
    show({"user_id": user, "erased": True}, as_json)
