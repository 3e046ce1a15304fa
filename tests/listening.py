"""An app behind a real server, in this process or another."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import uvicorn
from fastapi import FastAPI


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address of a real server on a free port, with ``app`` behind it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def service_of(supervisor: int) -> int:
    """The process that serves: a fork of the one that ``keel serve`` was started as, with the same command line."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return next(int(child) for child in children if command_of(int(child)) == command_of(supervisor))


def lives(process: int) -> bool:
    return Path(f"/proc/{process}/cmdline").exists()


def command_of(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


class Served(NamedTuple):
    """``keel serve``; ``pid`` is the process that serves."""

    address: str
    pid: int


@contextmanager
def serving(folder: Path, files: int | None = None, **variables: str) -> Iterator[Served]:
    """A service in a process of its own, ready, with the data folder and variables given; it may open so many files."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--no-ui", "--port", str(port), "--data-dir", str(folder)]
    if files is not None:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, env=os.environ | variables, stdout=nowhere, stderr=nowhere) as child:
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", child)
            yield Served(f"http://127.0.0.1:{port}", service_of(child.pid))
        finally:
            child.terminate()


def _wait_until_ready(address: str, child: subprocess.Popen[bytes]) -> None:
    while child.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the service did not start")
