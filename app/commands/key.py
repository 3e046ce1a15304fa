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

MINUTE = len("2026-01-31T12:00")

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
    """List all keys, revoked and expired ones too, without their secrets. --json has all that is known of each."""
    from app.storage.keys import listed as in_words
    from app.storage.keys import stored_keys

    async def found() -> list[Key]:
        async with stored_keys(settings_of(data_dir=data_dir)) as keys:
            return await keys.all()

    keys, at = asyncio.run(found()), datetime.now(UTC).isoformat()
    rows = ((key.key_id, key.tenant_id, in_words(key.scopes), key.bound_to or "", _valid(key, at)) for key in keys)
    shown = table(("key", "tenant", "scopes", "person", "valid"), rows, shortened=False)
    show({"keys": [_public(key) for key in keys]}, as_json, shown)


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


def _valid(key: Key, at: str) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at[:MINUTE]}"
    if key.expires_at is None:
        return "always"
    return f"{'until' if key.valid(at) else 'ended'} {key.expires_at[:MINUTE]}"


def _public(key: Key) -> dict[str, Any]:
    dates = {"created_at": key.created_at, "revoked_at": key.revoked_at}
    return {"key_id": key.key_id, "tenant_id": key.tenant_id} | dates | _limits(key) | {"made_by": key.made_by}


def _limits(key: Key) -> dict[str, Any]:
    return {
        "scopes": sorted(scope.value for scope in key.granted),
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
