"""``keel key``: make, list and revoke the keys of a data folder. A running service obeys at once."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import DataDir, Json, settings_of
from app.storage.registry import Key, Scope
from app.terminal import say, show, table
from elicitation.errors import InvalidInput

if TYPE_CHECKING:
    from app.storage.keys import Wish

commands = typer.Typer(no_args_is_help=True, help="Manage the keys of a service; each key belongs to one tenant.")


@commands.command("create")
def create(
    tenant: Annotated[str, typer.Option(help="tenant of the key; local is the tenant of a service without keys")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="what it may do, once for each scope; default: everything")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="30d, 12h, or a date or time in ISO 8601; default: never")] = None,
    user: Annotated[str | None, typer.Option(help="the one person whom it reaches; default: everybody")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="tokens of the key that may wait for the encoder; default: no limit of its own")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it once. After the first key every client needs one."""
    from app.storage.keys import stored_keys

    wish = _wish(scope, expires, user, max_tokens)

    async def made() -> dict[str, Any]:
        async with stored_keys(settings_of(data_dir=data_dir)) as keys:
            key, secret = await keys.create(tenant, wish)
        return {"key_id": key.key_id, "tenant": key.tenant_id, "key": secret} | _limits(key)

    show(asyncio.run(made()), as_json)
    if not as_json:
        say("The key is shown only now; clients send it as Authorization: Bearer KEY.", err=True)


@commands.command("list")
def listed(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List all keys, revoked and expired ones too, without their secrets."""
    from app.storage.keys import listed as scopes_in_words
    from app.storage.keys import stored_keys

    async def found() -> list[dict[str, Any]]:
        async with stored_keys(settings_of(data_dir=data_dir)) as keys:
            return [_public(key) | {"says": scopes_in_words(key.scopes)} for key in await keys.all()]

    rows = asyncio.run(found())
    headings = ("key", "tenant", "scopes", "person", "expires", "revoked", "made by", "max tokens", "created")
    columns = (
        "key_id",
        "tenant_id",
        "says",
        "bound_to",
        "expires_at",
        "revoked_at",
        "made_by",
        "max_tokens",
        "created_at",
    )
    shown = table(headings, (tuple(row[name] for name in columns) for row in rows), shortened=False)
    show({"keys": [{name: row[name] for name in row if name != "says"} for row in rows]}, as_json, shown)


@commands.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="id of the key, as keel key list prints it")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Revoke a key for good, with all that it made. People and profiles of its tenant stay."""
    from app.storage.keys import stored_keys

    async def revoked() -> dict[str, Any]:
        async with stored_keys(settings_of(data_dir=data_dir)) as keys:
            return _public(await keys.revoke(key_id))

    show(asyncio.run(revoked()), as_json)


def _public(key: Key) -> dict[str, Any]:
    dates = {"created_at": key.created_at, "revoked_at": key.revoked_at}
    return {"key_id": key.key_id, "tenant_id": key.tenant_id} | dates | _limits(key) | {"made_by": key.made_by}


def _limits(key: Key) -> dict[str, Any]:
    return {
        "scopes": sorted(key.granted),
        "expires_at": key.expires_at,
        "bound_to": key.bound_to,
        "max_tokens": key.max_tokens,
    }


def _wish(scopes: list[Scope] | None, expires: str | None, user: str | None, max_tokens: int | None) -> "Wish":
    from app.storage.keys import Wish

    ends = None if expires is None else expiry(expires, datetime.now(UTC))
    return Wish(frozenset(scopes) if scopes else None, ends, user, max_tokens)


def expiry(text: str, now: datetime) -> str:
    """The time, in UTC, of ``30d`` or ``12h`` from ``now``, or of ISO 8601: a date ends at its first moment, UTC."""
    length = re.fullmatch(r"(\d{1,5})([dh])", text)
    try:
        if length:
            ends = now + (timedelta(days=int(length[1])) if length[2] == "d" else timedelta(hours=int(length[1])))
        else:
            ends = datetime.fromisoformat(text)
            ends = ends.replace(tzinfo=UTC) if ends.tzinfo is None else ends.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{text[:40]!r} is no time; write 30d, 12h or a date such as 2027-01-31") from error
    return ends.isoformat()
