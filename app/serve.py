"""``keel serve``: the HTTP service in this process, the web page in a child, both ended together."""

import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from app.settings import Settings
from app.terminal import say
from elicitation.errors import InvalidInput

if TYPE_CHECKING:
    from app.profiles.profiles import Profiles

UI_SECONDS_TO_END = 5


def require_startable(settings: Settings, ui: bool) -> None:
    """Raises InvalidInput when the address is open to others, the page has no key or a port is taken."""
    keyed = settings.database.is_file() and asyncio.run(_any_key(settings))
    if not settings.loopback and not keyed:
        raise InvalidInput(
            f"host {settings.host!r} is reachable from other machines and no key exists to keep them out; "
            "make one with keel key create --tenant NAME, or use --host 127.0.0.1"
        )
    if ui and keyed and settings.key is None:
        raise InvalidInput("the service has keys and its web page was given none; set KEEL_KEY, or add --no-ui")
    _require_free(settings.host, settings.port, "port")
    if ui:
        _require_free(settings.page_host, settings.ui_port, "ui-port")


def serve(settings: Settings, ui: bool) -> None:
    """Serve until interrupted or terminated.

    Raises KeelError before any port is opened when the basis is unusable, retired, or not the one that people are on.
    """
    from app.http.api import default_app
    from app.http.logs import log_to_stderr
    from app.http.server import Server, config_of

    log_to_stderr()
    app = default_app(settings)
    asyncio.run(require_servable(settings, app.state.service.profiles))
    _announce(settings, ui)
    signal.signal(signal.SIGTERM, _exit)
    with _web_page(settings) if ui else _nothing(), suppress(KeyboardInterrupt):
        Server(config_of(app, settings), app.state.service.engine).run()


async def _any_key(settings: Settings) -> bool:
    from app.storage.opening import opened

    async with opened(settings) as store:
        return bool(await store.registry.keys())


async def require_servable(settings: Settings, served: "Profiles") -> None:
    """Raises Gone for a population past its deadline, InvalidInput when people were not moved to what is served."""
    from app.jobs.migrating import require_migrated
    from app.profiles.retiring import require_in_force
    from app.storage.opening import opened

    async with opened(settings) as store:
        require_in_force(served.artifact, await store.registry.erasures(), settings.erasure_days)
        await require_migrated(settings, store, served)


def _announce(settings: Settings, ui: bool) -> None:
    say(f"API  {settings.address}  (documentation at {settings.address}/docs)")
    if ui:
        say(f"Page {settings.ui_address}")


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


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _web_page(settings: Settings) -> Iterator[None]:
    """Streamlit as a child in its own session, so that an interrupt at the terminal reaches only this process.

    It ends with this process, however that ends, since it watches its standard input. It starts in the folder of the
    code: Streamlit reads configuration and modules from the current folder.
    """
    flags = ["--server.address", settings.page_host, "--server.port", str(settings.ui_port)]
    command = [sys.executable, "-m", "ui.run", *flags, "--", "--url", settings.address]
    with _key_file(settings.shown_key) as (key, kept):
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and page
            [*command, *key],
            cwd=_code(),
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=kept,
        )
        try:
            yield
        finally:
            child.terminate()
            try:
                child.wait(UI_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()


@contextmanager
def _key_file(key: str | None) -> Iterator[tuple[list[str], list[int]]]:
    """The page's flags for its key, and the descriptors they name: others may read arguments.

    The file has no name in any folder, so nothing is left of it when the processes that hold it have ended.
    """
    if key is None:
        yield [], []
        return
    with tempfile.TemporaryFile("w", encoding="utf-8") as file:
        file.write(key)
        file.flush()
        file.seek(0)
        yield ["--key-file", f"/dev/fd/{file.fileno()}"], [file.fileno()]


def _code() -> Path:
    """The folder that holds the package of the page."""
    spec = find_spec("ui")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    page = Path(folders[0]) / "main.py" if folders else Path("ui/main.py")
    if not page.exists():
        raise InvalidInput(f"the web page {page} is missing; reinstall keel, or serve with --no-ui")
    return page.parent.parent
