"""Attacks on the page over real sockets: other hosts, other origins, forged names, other methods, large messages."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.ui.pages import ROOT, STREAM, TOKEN, Page, serving
from ui.connections import MOST, SECONDS_FOR_A_HEAD

pytestmark = pytest.mark.slow
OWN_NAMES = "localhost,127.0.0.1,::1"
STRANGE_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "ada@127.0.0.1:{port}",
    "",
    None,
]
STRANGE_ORIGINS = [
    "null",
    "http://evil.example",
    "http://evil.example:{port}",
    "http://localhost:3000",
    "http://127.0.0.1",
    "https://127.0.0.1",
    "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1:{port}@evil.example",
    "file://",
    "chrome-extension://127.0.0.1:{port}",
    "http://127.0.0.1:{port}/path",
    "",
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with serving(tmp_path_factory.mktemp("page")) as started:
        yield started


@pytest.fixture(scope="module")
def cookie(page: Page) -> str:
    return page.cookie()


def at(page: Page, text: str | None) -> str | None:
    return None if text is None else text.format(port=page.port)


def test_the_page_and_its_stream_open_at_their_own_address(page: Page, cookie: str) -> None:
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{page.port}"
        assert page.request(Host=host, Cookie=cookie).status == 200
        assert page.request(Host=host, Cookie=cookie, Origin=f"http://{host}").status == 200
        assert page.stream(Host=host, Origin=f"http://{host}", Cookie=cookie) == 101


@pytest.mark.parametrize("host", STRANGE_HOSTS)
def test_a_strange_host_is_refused_though_its_origin_agrees(page: Page, cookie: str, host: str | None) -> None:
    host = at(page, host)
    origin = None if host is None else f"http://{host}"
    assert page.request(Host=host, Cookie=cookie).status in (400, 421)
    assert page.request(Host=host, Origin=origin, Cookie=cookie).status in (400, 421)
    assert page.request("/_stcore/health", Host=host).status in (400, 421)
    assert page.stream(Host=host, Origin=origin, Cookie=cookie) in (400, 403)


@pytest.mark.parametrize("origin", STRANGE_ORIGINS)
def test_pages_of_other_origins_are_refused(page: Page, cookie: str, origin: str) -> None:
    assert page.request(Origin=at(page, origin), Cookie=cookie).status == 421
    assert page.stream(Origin=at(page, origin), Cookie=cookie) == 403


def test_a_stream_without_an_origin_is_refused(page: Page, cookie: str) -> None:
    assert page.stream(Origin=None, Cookie=cookie) == 403
    assert page.request(Origin=None, Cookie=cookie).status == 200


def test_nothing_opens_without_the_token(page: Page, cookie: str) -> None:
    name, _, proof = cookie.partition("=")
    for wrong in (None, f"{name}=", f"{name}={TOKEN}", f"{name}={proof[:-1]}", f"keel_page_1={proof}", "ä=ö"):
        for path in ("/", "/profile", "/_stcore/host-config", "/media/x", "/static/js/index.js"):
            assert page.request(path, Cookie=wrong).status == 401
        assert page.stream(Cookie=wrong) == 403
    for token in ("", "wrong", TOKEN[:-1], f"{TOKEN}&token=wrong", "%c3%28", "%ed%a0%80"):
        assert page.request(f"/?token={token}", Cookie=cookie).status == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(page: Page, cookie: str) -> None:
    reply = page.request(f"/profile?user=ada&token={TOKEN}")
    assert (reply.status, reply.headers["location"]) == (303, "/profile?user=ada")
    kept, *flags = reply.headers["set-cookie"].split("; ")
    assert kept == cookie
    assert kept.startswith(f"keel_page_{page.port}=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} == set(flags)
    assert TOKEN not in kept
    for path in ("//evil.example/", "/\\evil.example", "///evil.example"):
        moved = page.request(f"{path}?token={TOKEN}").headers["location"]
        assert moved.startswith("/")
        assert moved[1:2] not in ("/", "\\")


def test_only_reading_methods_pass(page: Page, cookie: str) -> None:
    assert page.request(method="HEAD", Cookie=cookie).status == 200
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "INVENTED"):
        for path in ("/", "/_stcore/upload_file/a/b", "/_stcore/agent/interact"):
            assert page.request(path, method, b"x" * 1000, Cookie=cookie).status == 405


@pytest.mark.parametrize(
    "path", ["/", "/_stcore/health", "/_stcore/host-config", "/nothing/here.png", "/static/none.js"]
)
@pytest.mark.parametrize("known", [True, False])
def test_every_reply_forbids_frames(page: Page, cookie: str, path: str, known: bool) -> None:
    for method in ("GET", "POST"):
        headers = page.request(path, method, Cookie=cookie if known else None).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_browser_is_asked_for_no_usage_statistics(page: Page, cookie: str) -> None:
    """It would send them to Streamlit's makers."""
    (session,) = [sent.new_session for sent in page.messages(Cookie=cookie) if sent.WhichOneof("type") == "new_session"]
    assert session.HasField("config")
    assert session.config.gather_usage_stats is False


def test_streamlits_own_routes_are_closed_but_for_three(page: Page, cookie: str) -> None:
    for path in ("health", "host-config"):
        assert page.request(f"/_stcore/{path}", Cookie=cookie).status == 200
    for path in (
        "metrics",
        "agent/openapi.json",
        "script-health-check",
        "upload_file/a/b",
        "%6detrics",
        "../_stcore/metrics",
    ):
        assert page.request(f"/_stcore/{path}", Cookie=cookie).status in (400, 404)


def test_a_large_head_is_refused(page: Page, cookie: str) -> None:
    assert page.request(X_Large="x" * 10_000, Cookie=cookie).status == 200
    for size in (40_000, 200_000):
        assert page.request(X_Large="x" * size, Cookie=cookie).status in (400, 431)
        assert page.stream(X_Large="x" * size, Cookie=cookie) in (400, 403)
    assert page.stream(Content_Length="5", Cookie=cookie) == 400
    assert page.stream(**{f"X_{n}": "" for n in range(200)}, Cookie=cookie) == 400


@pytest.mark.parametrize(("size", "code"), [(1_000, 1002), (2**20 + 1, 1009)])
def test_a_large_message_ends_the_connection(page: Page, cookie: str, size: int, code: int) -> None:
    address = f"ws://127.0.0.1:{page.port}{STREAM}"
    with connect(address, origin=page.address, additional_headers={"Cookie": cookie}) as stream:
        stream.send(b"\xff" * size)
        with suppress(ConnectionClosed):
            list(stream)
        assert stream.close_code == code


def test_the_token_is_in_no_log(page: Page, cookie: str) -> None:
    page.request(f"/?token={TOKEN}")
    page.request(f"/?token={TOKEN}", "POST")
    page.stream(Cookie=cookie)
    said = page.said.read_text()
    assert TOKEN not in said
    assert cookie.partition("=")[2] not in said


def test_connections_that_do_nothing_keep_nobody_out(tmp_path) -> None:
    with serving(tmp_path) as page, ExitStack() as held:
        cookie = page.cookie()
        silent = [held.enter_context(socket.create_connection(("127.0.0.1", page.port))) for _ in range(MOST + 64)]
        for connection in silent[::2]:
            with suppress(ConnectionError):
                connection.sendall(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        assert page.request(Cookie=cookie).status == 200
        assert page.stream(Cookie=cookie) == 101
        assert time.monotonic() - began < 2
        silent[-1].settimeout(SECONDS_FOR_A_HEAD + 5)
        assert silent[-1].recv(1) == b"", "the server ends it"
        assert time.monotonic() - began > SECONDS_FOR_A_HEAD / 2
        assert len(page.said.read_bytes()) < 10_000


def test_with_a_key_no_page_starts_that_one_token_opens_for_everybody(tmp_path) -> None:
    (tmp_path / "secret").write_text("x")
    flags = ("--token-file", "secret", "--key-file", "secret")
    command = [sys.executable, "-m", "ui.run", *(flag.replace("secret", str(tmp_path / "secret")) for flag in flags)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "people must log in" in ended.stderr


def test_names_of_a_proxy_are_known_at_its_port_alone(tmp_path) -> None:
    flags = ("--hosts", f"{OWN_NAMES},keel.example", "--named-hosts", "keel.example")
    with serving(tmp_path, *flags) as page:
        cookie = page.cookie()
        own = f"127.0.0.1:{page.port}"
        opened = [("keel.example", "https://keel.example"), (own, "https://keel.example"), (own, "http://keel.example")]
        for host, origin in opened:
            assert page.stream(Host=host, Origin=origin, Cookie=cookie) == 101
        for host, origin in [("keel.example", "https://keel.example:8443"), (own, "https://localhost")]:
            assert page.stream(Host=host, Origin=origin, Cookie=cookie) == 403


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that believes the header of a proxy on this machine."""
    with serving(tmp_path_factory.mktemp("header"), "--login", "header") as started:
        yield started


def test_who_is_named_is_let_in(trusting: Page) -> None:
    assert trusting.request(X_Forwarded_User="ada").status == 200
    assert trusting.stream(X_Forwarded_User="Ada Lovelace") == 101


def test_nobody_and_two_people_are_refused(trusting: Page) -> None:
    assert trusting.request().status == 401
    assert trusting.request(X_Forwarded_User=" ").status == 401
    assert trusting.request(X_Forwarded_User="x" * 2_000).status == 401
    assert trusting.request(X_Forwarded_User="\xff").status == 401
    host = f"Host: 127.0.0.1:{trusting.port}"
    twice = ["X-Forwarded-User: ada", "x-forwarded-user: bob"]
    assert trusting.raw("GET / HTTP/1.1", host, *twice).status == 400
    assert trusting.stream(X_Keel_Visitor="ada") == 403


def test_a_proxy_that_is_not_trusted_names_nobody(tmp_path) -> None:
    with serving(tmp_path, "--login", "header", "--trusted-proxies", "192.0.2.0/24") as page:
        for headers in ({}, {"X_Forwarded_User": "ada"}, {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_User": "ada"}):
            assert page.request(**headers).status == 403
            assert page.stream(**headers) == 403
