"""``keel serve``: the HTTP service and the web page as processes of this one, all ended together."""

import asyncio
import logging
import signal
import socket
import sys
from contextlib import nullcontext, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from app.settings import Settings
from app.supervisor import supervise
from app.terminal import say, told
from app.web_page import new_token, require_login, shown_address, web_page
from elicitation.errors import InvalidInput

if TYPE_CHECKING:
    from app.storage.registry import Key

RESTARTS = sys.platform == "linux"
"""Elsewhere a process may not go on with libraries that another one has loaded: the service then runs in this one."""


def require_startable(settings: Settings, ui: bool) -> None:
    """Raises InvalidInput when the address is open to others, the page knows no person or a port is taken."""
    from app.storage.keys import scopes_of

    keys = asyncio.run(_keys(settings)) if settings.database.is_file() else []
    if not settings.loopback and not keys:
        raise InvalidInput(
            f"host {settings.host!r} is reachable from other machines and no key exists to keep them out; "
            "make one with keel key create --tenant NAME, or use --host 127.0.0.1"
        )
    if ui:
        require_login(settings, bool(keys), scopes_of(settings.key, keys))
    _require_free(settings.host, settings.port, "port")
    if ui:
        _require_free(settings.page_host, settings.ui_port, "ui-port")


def serve(settings: Settings, ui: bool) -> None:
    """Serve until interrupted or terminated; a service that was killed is started again.

    The service is refused before it opens its port when the basis is unusable, retired, or not the one that people are
    on.
    """
    import app.http.api  # noqa: F401 - in memory before each process that serves is forked
    from app.http.logs import log_to_stderr

    log_to_stderr()
    token = new_token(settings)
    work = partial(_serve, settings, shown_address(settings, token) if ui else None)
    signal.signal(signal.SIGTERM, _exit)
    # A shell has its background commands ignore it, unless they say otherwise.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with web_page(settings, token) if ui else nullcontext(), suppress(KeyboardInterrupt):
        if RESTARTS:
            raise SystemExit(supervise(work, _prepare))
        work()


def _serve(settings: Settings, page: str | None) -> None:
    from app.http.api import default_app
    from app.http.server import Server, config_of
    from app.jobs.migrating import require_servable

    with told(), suppress(KeyboardInterrupt):
        app = default_app(settings)
        asyncio.run(require_servable(settings, app.state.service.profiles))
        _announce(settings, page)
        Server(config_of(app, settings), app.state.service).run()


def _prepare() -> None:
    try:
        from reward_bases.sources.encoder_files import import_models

        import_models()
    except Exception as error:
        # The service finds the same fault, and says it to whoever asks.
        logging.getLogger("keel").error("imports", extra={"fields": {"exception": type(error).__name__}})


async def _keys(settings: Settings) -> "list[Key]":
    from app.storage.keys import stored_keys

    async with stored_keys(settings) as keys:
        return await keys.all()


def _announce(settings: Settings, page: str | None) -> None:
    say(f"API  {settings.address}  (documentation at {settings.address}/docs)")
    if page is not None:
        say(f"Page {page}")


def _exit(number: int, frame: FrameType | None) -> None:
    # Without a handler of ours SIGTERM would end the process before the web page's child is ended.
    raise SystemExit(0)


def _require_free(host: str, port: int, flag: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            variable = f"KEEL_{flag.replace('-', '_').upper()}"
            raise InvalidInput(
                f"{flag} {port} on {host} cannot be used ({error.strerror}); end what holds it, or choose another with "
                f"--{flag} or {variable}"
            ) from error
