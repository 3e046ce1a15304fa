"""``keel serve`` in a process of its own, on a folder that outlives it."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
from listening import service_of

PATIENCE = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


class Process:
    """A service that can be killed and started again at the same address."""

    def __init__(self, folder: Path, *flags: str, **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._flags = flags or ("--no-ui",)
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        self.http = httpx.Client(base_url=self.address, timeout=5)
        self.child: subprocess.Popen[bytes] | None = None

    def start(self, patience: float = PATIENCE) -> float:
        """Start it; seconds until it was ready."""
        command = [sys.executable, "-m", "app", "serve", "--port", str(self.port), "--data-dir", str(self.folder)]
        start = time.monotonic()
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self.child = subprocess.Popen([*command, *self._flags], env=self._environment, stdout=log, stderr=log)
        self.wait_until(200, patience)
        return time.monotonic() - start

    def wait_until(self, status: int, patience: float = PATIENCE) -> str:
        """Wait until readiness has this status; the reply's detail."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            assert self.child is None or self.child.poll() is None, "the service ended"
            try:
                reply = self.http.get("/health/ready")
            except httpx.TransportError:
                pass
            else:
                if reply.status_code == status:
                    return str(reply.json().get("detail", ""))
            time.sleep(0.05)
        raise AssertionError(f"readiness was not {status} within {patience:g} s")

    @property
    def serving(self) -> int:
        """The process that serves, which the supervisor has forked."""
        assert self.child is not None
        return service_of(self.child.pid)

    def kill(self) -> None:
        """Kill the supervisor and the process that serves at once, as a loss of power does."""
        serving = self.serving
        assert self.child is not None
        self.child.kill()
        with suppress(ProcessLookupError):
            os.kill(serving, signal.SIGKILL)
        self.child.wait(PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Ask it to stop; seconds until it had ended."""
        assert self.child is not None
        start = time.monotonic()
        self.child.send_signal(number)
        self.child.wait(PATIENCE)
        return time.monotonic() - start

    def close(self) -> None:
        """End it in any case."""
        if self.child is not None and self.child.poll() is None:
            self.stop()
        self.http.close()
