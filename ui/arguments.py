"""Flags of the page's process: ``python -m ui.run`` and each script that Streamlit runs in it read the same flags.

Secrets come as files, which may be descriptors (``/dev/fd/5``): others may read the arguments of a process.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Login = Literal["token", "header", "oidc"]
DEFAULT_URL = "http://127.0.0.1:8765"
LOOPBACK = "127.0.0.1,::1"


@dataclass(frozen=True)
class Arguments:
    """``hosts`` are all names of the page; of these, ``named_hosts`` may also stand in an Origin of port 80 or 443."""

    url: str
    host: str
    port: int
    key_file: Path | None
    token_file: Path | None
    hosts: frozenset[str]
    named_hosts: frozenset[str]
    login: Login
    identity_header: str
    trusted_proxies: tuple[str, ...]
    auditors: frozenset[str]
    oidc_file: Path | None


def given() -> Arguments:
    """The flags of this process; those of Streamlit's own command line are not among them."""
    values = vars(_parser().parse_args(sys.argv[1:]))
    for name in ("hosts", "named_hosts", "auditors"):
        values[name] = frozenset(_split(values[name]))
    values["trusted_proxies"] = tuple(_split(values["trusted_proxies"]))
    return Arguments(**values)


def secret(file: Path) -> str:
    """A secret that stands in a file."""
    return file.read_text(encoding="utf-8").strip()


def _split(names: str) -> list[str]:
    return [name for name in names.split(",") if name]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ui.run", description="The web page of Keel.")
    parser.add_argument("--url", default=DEFAULT_URL, help="where the service listens (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8501, help="port of the page (default: %(default)s)")
    parser.add_argument("--key-file", type=Path, help="file with the key that the service asks for")
    parser.add_argument("--token-file", type=Path, help="file with the token that opens the page")
    parser.add_argument("--hosts", default="localhost,127.0.0.1,::1", help="names of the page (default: %(default)s)")
    parser.add_argument("--named-hosts", default="", help="those of them that a proxy serves")
    parser.add_argument("--login", choices=("token", "header", "oidc"), default="token", help="how people log in")
    parser.add_argument(
        "--identity-header", default="X-Forwarded-User", help="header in which a proxy names the person"
    )
    parser.add_argument("--trusted-proxies", default=LOOPBACK, help="addresses or networks of that proxy")
    parser.add_argument("--auditors", default="", help="identities that see the audit page")
    parser.add_argument("--oidc-file", type=Path, help="TOML with the OpenID Connect provider, section [auth]")
    return parser
