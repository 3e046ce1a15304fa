"""The shipped service on a real port, and the web page run against it without a browser."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
import uvicorn
from streamlit.testing.v1 import AppTest

import keel
from app.api import default_app
from app.settings import Settings

MAIN = Path(__file__).parents[2] / "ui" / "main.py"
SECONDS_TO_START, SECONDS_TO_DRAW = 60, 60
PAGES = {"profile": "profile_page.py", "try": "try_page.py", "audit": "audit_page.py"}
Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the service listens, ready to score."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = default_app(Settings(data_dir=tmp_path_factory.mktemp("keel"), port=port))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + SECONDS_TO_START
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    st.cache_resource.clear()  # gives the pages' connections back
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[keel.Client]:
    with keel.Client(url) as connected:
        connected.rank("ready?", ["yes", "no"])
        yield connected


@pytest.fixture
def visit(client: keel.Client, url: str, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a page as a fresh visit of a person (``user``), or of nobody in particular."""

    def open_page(page: str = "ask", *, user: str | None = None, service: str = url) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["main.py", "--url", service])
        visit = AppTest.from_file(MAIN, default_timeout=SECONDS_TO_DRAW)
        if user is not None:
            visit.query_params["user"] = user
        visit.run()
        return visit.switch_page(PAGES[page]).run() if page in PAGES else visit

    return open_page


@pytest.fixture
def taught(client: keel.Client, request: pytest.FixtureRequest) -> str:
    """A person who has answered four questions, always preferring the shorter answer."""
    user = f"taught-{abs(hash(request.node.nodeid))}"
    for _ in range(4):
        question = client.ask(user, force=True)
        assert question is not None
        choice = "left" if len(question.left) < len(question.right) else "right"
        client.tell(user, question.question_id, choice)
    return user
