"""The page as a process of its own, and requests to it written byte by byte."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
SECONDS_TO_START = 120
TOKEN = "token-of-this-start"
STREAM = "/_stcore/stream"
Headers = dict[str, str | None]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Page:
    """A page that listens; ``said`` is what its process wrote."""

    port: int
    said: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str | None) -> Reply:
        """A reply to exactly these headers: ``Host`` unless it is None, ``X_Name`` stands for X-Name."""
        sent = {"Host": f"127.0.0.1:{self.port}", **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in sent.items() if value is not None]
        return self.raw(f"{method} {path} HTTP/1.1", *lines, f"Content-Length: {len(body)}", body=body)

    def raw(self, *lines: str, body: bytes = b"") -> Reply:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            return _reply(connection)

    def stream(self, **headers: str | None) -> int:
        """Status of a WebSocket's handshake: 101 if it is let in."""
        own: Headers = {"Host": f"127.0.0.1:{self.port}", "Origin": self.address, **headers}
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        sent = {**upgrade, **key, **{name.replace("_", "-"): value for name, value in own.items()}}
        lines = [f"{name}: {value}" for name, value in sent.items() if value is not None]
        return self.raw(f"GET {STREAM} HTTP/1.1", *lines).status

    def shown(self, page: str = "", query: str = "", **headers: str) -> str:
        """Everything that a visit gets to see of one page, as Streamlit sends it to a browser."""
        sent = self.messages(page, query, **headers)
        return "\n".join(str(message.delta) for message in sent if message.WhichOneof("type") == "delta")

    def messages(self, page: str = "", query: str = "", **headers: str) -> list[ForwardMsg]:
        """All that Streamlit sends to a browser until the page is drawn."""
        rerun = BackMsg(rerun_script=ClientState(query_string=query, page_name=page))
        seen: list[ForwardMsg] = []
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        with connect(
            self.address.replace("http", "ws") + STREAM, origin=self.address, additional_headers=sent
        ) as stream:
            stream.send(rerun.SerializeToString())
            while not (seen and _finished(seen[-1])):
                seen.append(ForwardMsg.FromString(stream.recv(timeout=SECONDS_TO_START)))
        return seen

    def cookie(self) -> str:
        """The cookie that the token of the printed address is exchanged for."""
        return self.request(f"/?token={TOKEN}").headers["set-cookie"].split(";")[0]


def _finished(message: ForwardMsg) -> bool:
    """Whether the page is drawn, and not only interrupted to be drawn once more."""
    drawn = message.WhichOneof("type") == "script_finished"
    return drawn and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY


def _reply(connection: socket.socket) -> Reply:
    data = b""
    while b"\r\n\r\n" not in data and (part := connection.recv(65_536)):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    while len(body) < int(headers.get("content-length", "0")) and (part := connection.recv(65_536)):
        body += part
    return Reply(int(status.split()[1]), headers, body)


@contextmanager
def serving(folder: Path, *flags: str, service: str = "http://127.0.0.1:9", port: int | None = None) -> Iterator[Page]:
    """``python -m ui.run``, as ``keel serve`` starts it, once it listens."""
    page, token = Page(port or free_port(), folder / "said"), folder / "token"
    token.write_text(TOKEN)
    command = [sys.executable, "-m", "ui.run", "--url", service, "--port", str(page.port), "--token-file", str(token)]
    with page.said.open("w") as said:
        process = subprocess.Popen([*command, *flags], cwd=ROOT, stdin=subprocess.PIPE, stdout=said, stderr=said)
    try:
        _wait_for(page, process)
        yield page
    finally:
        process.kill()
        process.communicate()


def _wait_for(page: Page, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if page.request("/_stcore/health").status == 200:
                return
        except ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"the page did not start: {page.said.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
