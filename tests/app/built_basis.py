"""Bases that ``keel basis build`` wrote, and a service over them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from app import cli
from app.http.api import create_app, default_engine
from app.jobs import building
from app.settings import Settings
from app.storage.opening import open_store


def built_from(folder: Path, patch: pytest.MonkeyPatch) -> tuple[Path, Result]:
    """The basis of ``folder/recipe.toml``, its guard tuned on two people, and what the command said."""
    patch.setenv("KEEL_DATA_DIR", str(folder / "data"))
    patch.setattr(building, "PEOPLE", 2)
    patch.setattr(building, "FLATTERERS", 2)
    recipe, out = str(folder / "recipe.toml"), str(folder / "basis")
    ran = CliRunner().invoke(cli.app, ["basis", "build", "--recipe", recipe, "--out", out, "--json"])
    assert ran.exit_code == 0, f"{ran.stderr}{ran.exception!r}"
    return Path(json.loads(ran.stdout)["folder"]), ran


@asynccontextmanager
async def served(basis: Path, data_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Requests straight into a service over the basis."""
    settings = Settings(basis=basis, data_dir=data_dir)
    app = create_app(settings, open_store(settings), default_engine(settings), basis)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client,
    ):
        yield client
