"""A proxy of the environment never sees a request to this machine; it still serves other hosts."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from keel import AsyncClient, Client, KeelError
from keel.wire import Retry, trusts_environment

KEY = "the-secret"
ONCE = Retry(attempts=1)
VARIABLES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy")


class Recorder(BaseHTTPRequestHandler):
    """Writes down what a proxy would get."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization")))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None: ...


def recorder() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


proxy = pytest.fixture(recorder, name="proxy")
service = pytest.fixture(recorder, name="service")


@pytest.fixture(autouse=True)
def proxied(proxy: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in VARIABLES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1.2.3"])
def test_requests_to_this_machine_go_straight_to_it(
    proxy: ThreadingHTTPServer, service: ThreadingHTTPServer, host: str
) -> None:
    with Client(f"http://{host}:{service.server_port}", key=KEY, retry=ONCE) as client:
        try:
            client.info()
        except KeelError:
            assert host != "127.0.0.1"
    assert proxy.seen == []  # type: ignore[attr-defined]
    if host == "127.0.0.1":
        assert service.seen == [("/info", f"Bearer {KEY}")]  # type: ignore[attr-defined]


async def test_the_asynchronous_client_does_the_same(proxy: ThreadingHTTPServer, service: ThreadingHTTPServer) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.server_port}", key=KEY) as client:
        await client.info()
    assert proxy.seen == []  # type: ignore[attr-defined]
    assert service.seen == [("/info", f"Bearer {KEY}")]  # type: ignore[attr-defined]


def test_another_host_is_still_reached_through_the_proxy(proxy: ThreadingHTTPServer) -> None:
    with Client("http://keel.invalid", key=KEY) as client:
        client.info()
    assert proxy.seen == [("http://keel.invalid/info", f"Bearer {KEY}")]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "trusts"),
    [
        ("http://127.0.0.1:8765", False),
        ("http://127.255.0.1", False),
        ("http://[::1]:8765", False),
        ("http://[::ffff:127.0.0.1]", False),
        ("http://LOCALHOST", False),
        ("http://localhost.:1", False),
        ("http://keel.localhost", False),
        ("http://0.0.0.0:8765", False),
        ("http://[::]:8765", False),
        ("http://10.0.0.1", True),
        ("http://keel.example", True),
        ("http://localhost.example", True),
    ],
)
def test_which_addresses_are_this_machines(url: str, trusts: bool) -> None:
    assert trusts_environment(url) == trusts
