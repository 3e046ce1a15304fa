"""Options that commands share, and the client and settings that they give."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.settings import Settings
from keel import Client

Json = Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")]
Url = Annotated[str | None, typer.Option(help="URL of the running service")]
DataDir = Annotated[Path | None, typer.Option(help="data folder, which holds the database (KEEL_DATA_DIR)")]
Basis = Annotated[Path | None, typer.Option(help="folder of a trained basis (KEEL_BASIS); default: the shipped basis")]


def connect(url: str | None) -> Client:
    """A client of the service at ``url``, by default the one that the settings name."""
    settings = Settings()
    return Client(url or settings.base_url, key=settings.shown_key)


def settings_of(**flags: Any) -> Settings:
    """The settings in force, with the flags that were given on the command line."""
    return Settings(**{name: value for name, value in flags.items() if value is not None})
