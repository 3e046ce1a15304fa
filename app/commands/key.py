"""``keel key``: make, list and revoke the keys of a data folder. A running service obeys at once."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from app.commands.options import DataDir, Json, settings_of
from app.terminal import say, show, table

commands = typer.Typer(no_args_is_help=True, help="Manage the keys of a service; each key belongs to one tenant.")


@commands.command("create")
def create(
    tenant: Annotated[str, typer.Option(help="tenant of the key; local is the tenant of a service without keys")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it once. After the first key every client needs one."""
    from app.storage.keys import stored_keys

    async def made() -> dict[str, Any]:
        async with stored_keys(settings_of(data_dir=data_dir)) as keys:
            key, secret = await keys.create(tenant)
        return {"key_id": key.key_id, "tenant": key.tenant_id, "key": secret}

    show(asyncio.run(made()), as_json)
    if not as_json:
        say("The key is shown only now; clients send it as Authorization: Bearer KEY.", err=True)


@commands.command("list")
def listed(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List all keys, revoked ones too, without their secrets."""
    from app.storage.keys import stored_keys

    async def found() -> list[dict[str, Any]]:
        async with stored_keys(settings_of(data_dir=data_dir)) as keys:
            return [_public(asdict(key)) for key in await keys.all()]

    rows = asyncio.run(found())
    headings = ("key", "tenant", "created", "revoked")
    show({"keys": rows}, as_json, table(headings, (tuple(row.values()) for row in rows)))


@commands.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="id of the key, as keel key list prints it")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Revoke a key for good. People and profiles of its tenant stay."""
    from app.storage.keys import stored_keys

    async def revoked() -> dict[str, Any]:
        async with stored_keys(settings_of(data_dir=data_dir)) as keys:
            return _public(asdict(await keys.revoke(key_id)))

    show(asyncio.run(revoked()), as_json)


def _public(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "secret_digest"}
