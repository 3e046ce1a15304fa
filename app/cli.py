"""Learn a person's preferences from a few questions and score answers for that person.

``keel serve`` runs the service; commands with ``--url`` talk to a running one.

Results go to standard output, with ``--json`` as one JSON object; other messages to standard error.

Exit codes: 0 done, 1 refused or failed (or an audit is red), 2 wrong usage.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from app.commands import basis, client, doctor, guard, judgments, key, population, reading_rule, trials, upkeep
from app.commands.options import Basis, DataDir, settings_of
from app.settings import CONFIGURATION, FILE, Settings, configuration_file, notices, own_file
from app.terminal import fail, say, told

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for module in (client, doctor, judgments, reading_rule, trials, upkeep):
    app.add_typer(module.commands)
for name, group in (("basis", basis), ("guard", guard), ("population", population), ("key", key)):
    app.add_typer(group.commands, name=name)


def main() -> None:
    """Run the command line; a refusal is one sentence and an exit code."""
    try:
        with told():
            app()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        place = f"{configuration_file() or own_file()} or KEEL_{name.upper()}"
        fail(f"setting {name}: {first['msg']}, got {first['input']!r}; correct {place}", 2)
    except tomllib.TOMLDecodeError as error:
        fail(f"{configuration_file()} is no TOML: {error}; correct it", 2)


@app.callback()
def configure(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help=f"file of settings (KEEL_CONFIG); default: {FILE} in your ~/.config/keel")
    ] = None,
) -> None:
    if config is not None:
        os.environ[CONFIGURATION] = str(config.resolve())
    context.default_map = defaults(Settings())
    for notice in notices():
        say(f"keel: {notice}", err=True)


def defaults(settings: Settings) -> dict[str, dict[str, Any]]:
    """Each command's defaults: the settings in force, which ``--help`` shows."""
    served = {name: getattr(settings, name) for name in ("host", "port", "ui_port", "data_dir", "basis")}
    asking = {"url": settings.base_url}
    examined = {name: getattr(settings, name) for name in ("data_dir", "basis")}
    talking = ("ask", "score", "rank", "profile", "audit", "export", "erase")
    return {"serve": served, "doctor": examined, **dict.fromkeys(talking, asking)}


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to bind to (KEEL_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="port of the HTTP service (KEEL_PORT)")] = None,
    ui_port: Annotated[int | None, typer.Option(help="port of the web page (KEEL_UI_PORT)")] = None,
    data_dir: DataDir = None,
    basis: Basis = None,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="also start the web page")] = True,
) -> None:
    """Start the service and its web page; Ctrl-C ends both."""
    from app.serve import require_startable
    from app.serve import serve as run

    settings = settings_of(host=host, port=port, ui_port=ui_port, data_dir=data_dir, basis=basis)
    require_startable(settings, ui)
    run(settings, ui)
