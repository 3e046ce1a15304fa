"""A built basis in a terminal."""

from dataclasses import astuple

from app.jobs.building import Built
from app.terminal import say, show, table

HEADINGS = ("head", "mean", "spread", "aggregate, nats", "std over people, nats", "protected")


def present(built: Built, as_json: bool) -> None:
    """One JSON object, or the new heads, versions, the guard and what to do next."""
    show(built, as_json, table(HEADINGS, map(astuple, built.heads)))
    if as_json:
        return
    for source in built.sources:
        say(f"{source.name}: {source.kind} {source.version}, {', '.join(source.columns)}; {built.pairs} pairs read")
    say(f"basis {built.basis_version}, population {built.population_version}")
    say(f"guard: {built.divergence} nats, STARC {built.starc}")
    say(f"  keel serve --basis {built.folder}")
