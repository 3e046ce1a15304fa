"""The web page as a child process: what it is given, and what a login needs before it may start."""

import os
import secrets
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.settings import Settings
from elicitation.errors import InvalidInput

SECONDS_TO_END = 2
PROVIDER = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
CALLBACK = "/oauth2callback"
SHORTEST_SECRET = 32
LARGEST_HEADER = 32 * 1024
"""Bytes of one header of a WebSocket: a provider's tokens in cookies are longer than its 8 kB by default."""


def require_login(settings: Settings, keyed: bool, scopes: Set[str] = frozenset()) -> None:
    """Raises InvalidInput where the page could not tell one person from another, or its own key may not do its work.

    ``keyed``: the service has keys; ``scopes`` are those of the page's, none if it opens nothing.
    """
    if keyed and settings.key is None:
        raise InvalidInput("the service has keys and its web page was given none; set KEEL_KEY, or add --no-ui")
    if keyed and settings.login == "token":
        raise InvalidInput(
            "the service has keys, so its web page must know who visits it; set KEEL_LOGIN=oidc or KEEL_LOGIN=header, "
            "or add --no-ui"
        )
    if settings.login == "oidc":
        _require_provider(settings)
    if keyed:
        _require_scopes(settings, scopes)


def _require_scopes(settings: Settings, scopes: Set[str]) -> None:
    needed = sorted({"delegate", *(["audit"] if settings.auditors else [])})
    flags = " ".join(f"--scope {scope}" for scope in needed)
    remedy = f"set KEEL_KEY to a key that keel key create --tenant NAME {flags} makes, or add --no-ui"
    if not scopes:
        raise InvalidInput(f"KEEL_KEY, which the web page uses, is unknown, expired or revoked; {remedy}")
    if not set(needed) <= scopes:
        had, wanted = ", ".join(sorted(scopes)), ", ".join(needed)
        raise InvalidInput(f"KEEL_KEY has {had}, and the web page needs {wanted}; {remedy}")


def _require_provider(settings: Settings) -> None:
    file = settings.oidc_file
    if file is None or not file.is_file():
        raise InvalidInput(f"login is oidc and KEEL_OIDC_FILE is {str(file)!r}; name the TOML file with the provider")
    try:
        section = tomllib.loads(file.read_text(encoding="utf-8")).get("auth", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is no TOML: {error}; correct it") from error
    if fault := _fault(section, settings):
        raise InvalidInput(f"{file}, section [auth]: {fault}")


def _fault(section: Any, settings: Settings) -> str | None:
    """What is wrong with the provider's section; None where nothing is."""
    if not isinstance(section, dict) or not all(isinstance(section.get(name), str) for name in PROVIDER):
        return f"{', '.join(PROVIDER)} must all be given, as strings"
    others = [name for name, value in section.items() if isinstance(value, dict) and name != "client_kwargs"]
    if others:
        return f"{others[0]} is a second provider; one is possible, since two could name different people alike"
    if len(section["cookie_secret"]) < SHORTEST_SECRET:
        return f"cookie_secret has {len(section['cookie_secret'])} characters; draw {SHORTEST_SECRET} or more at random"
    address = urlsplit(section["redirect_uri"])
    if address.path != CALLBACK:
        return f"redirect_uri {section['redirect_uri']!r} must end in {CALLBACK}"
    if address.hostname not in settings.page_hosts:
        return f"{address.hostname!r} of redirect_uri is no name of this page; add it to KEEL_ALLOWED_HOSTS"
    return None


def new_token(settings: Settings) -> str | None:
    """The token that opens the page until the service ends; None where people log in otherwise."""
    return secrets.token_urlsafe(32) if settings.login == "token" else None


def shown_address(settings: Settings, token: str | None) -> str:
    """What to open in a browser."""
    return settings.ui_address if token is None else f"{settings.ui_address}/?token={token}"


@contextmanager
def web_page(settings: Settings, token: str | None) -> Iterator[None]:
    """Streamlit as a child in its own session, so that an interrupt at the terminal reaches only this process.

    It ends with this process, however that ends, since it watches its standard input. It starts in the folder of the
    code: Streamlit reads configuration and modules from the current folder.
    """
    with ExitStack() as held:
        key_flags, key_kept = held.enter_context(_secret_file("--key-file", settings.shown_key))
        token_flags, token_kept = held.enter_context(_secret_file("--token-file", token))
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and page
            [sys.executable, "-m", "ui.run", *_flags(settings), *key_flags, *token_flags],
            cwd=_code(),
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "WEBSOCKETS_MAX_LINE_LENGTH": str(LARGEST_HEADER)},
            pass_fds=[*key_kept, *token_kept],
        )
        try:
            yield
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _flags(settings: Settings) -> list[str]:
    values = {
        "url": settings.address,
        "host": settings.page_host,
        "port": str(settings.ui_port),
        "hosts": ",".join(sorted(settings.page_hosts)),
        "named-hosts": ",".join(settings.allowed_hosts),
        "login": settings.login,
        "identity-header": settings.identity_header,
        "trusted-proxies": ",".join(settings.trusted_proxies),
        "auditors": ",".join(settings.auditors),
    }
    file = [] if settings.oidc_file is None else [f"--oidc-file={settings.oidc_file.resolve()}"]
    return [*(f"--{name}={value}" for name, value in values.items()), *file]


@contextmanager
def _secret_file(flag: str, secret: str | None) -> Iterator[tuple[list[str], list[int]]]:
    """The page's flags for a secret, and the descriptors they name: others may read arguments.

    The file has no name in any folder, so nothing is left of it when the processes that hold it have ended.
    """
    if secret is None:
        yield [], []
        return
    with tempfile.TemporaryFile("w", encoding="utf-8") as file:
        file.write(secret)
        file.flush()
        file.seek(0)
        yield [flag, f"/dev/fd/{file.fileno()}"], [file.fileno()]


def _code() -> Path:
    """The folder that holds the package of the page."""
    spec = find_spec("ui")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    page = Path(folders[0]) / "main.py" if folders else Path("ui/main.py")
    if not page.exists():
        raise InvalidInput(f"the web page {page} is missing; reinstall keel, or serve with --no-ui")
    return page.parent.parent
