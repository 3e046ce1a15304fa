"""The page in a process of its own, which ends with the process that started it: ``python -m ui.run FLAGS``.

The starter holds the other end of standard input. It closes when the starter ends, also when that was killed.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from streamlit.web.bootstrap import load_config_options

from ui.arguments import Arguments, given, secret
from ui.connections import Connection
from ui.front import LARGEST_HEAD, Front
from ui.hosts import Hosts
from ui.login import VISITOR, ByHeader, ByOpenId, ByToken, Way
from ui.stream import Stream

ACCEPTED_AT_ONCE = 32
PAGE = Path(__file__).with_name("main.py")
MEGABYTE = 2**20


def main() -> None:
    arguments = given()
    way = way_of(arguments)
    threading.Thread(target=end_with_starter, daemon=True).start()
    hosts = Hosts(arguments.hosts, arguments.named_hosts, arguments.port)
    app = st.App(PAGE, middleware=[Middleware(Front, hosts=hosts, way=way)])
    load_config_options(options(arguments))  # after App, which says in whose folder the theme lies
    uvicorn.run(app, host=arguments.host, port=arguments.port, **server_limits())


def way_of(arguments: Arguments) -> Way:
    """How people log in."""
    if arguments.login == "header":
        return ByHeader(arguments.identity_header, arguments.trusted_proxies)
    if arguments.login == "oidc":
        return ByOpenId()
    if arguments.token_file is None or arguments.key_file is not None:
        sys.exit("ui.run: --login token needs --token-file and no --key-file: with keys, people must log in")
    return ByToken(secret(arguments.token_file), arguments.port)


def options(arguments: Arguments) -> dict[str, Any]:
    """Options of Streamlit that no file and no variable may change."""
    return {
        "global.developmentMode": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "server.address": arguments.host,
        "server.port": arguments.port,
        "server.baseUrlPath": "",
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.corsAllowedOrigins": [],
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
        "server.maxUploadSize": 1,
        "server.maxMessageSize": 1,
        "server.maxWidgetStateSize": 1,
        "server.trustedUserHeaders": json.dumps({VISITOR: "keel_visitor"}),
        "secrets.files": [] if arguments.oidc_file is None else [str(arguments.oidc_file)],
    }


def server_limits() -> dict[str, Any]:
    """Bounds on heads and messages. The peer's address stays the real one, whatever a header says of it."""
    return {
        "http": Connection,
        "h11_max_incomplete_event_size": LARGEST_HEAD,
        "backlog": ACCEPTED_AT_ONCE,
        "ws": Stream,
        "ws_max_size": MEGABYTE,
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "log_level": "warning",
    }


def end_with_starter() -> None:
    """Ends this process once standard input ends."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
