"""The shipped service on a real port, and the web page run against it without a browser."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import streamlit as st
from fastapi import FastAPI
from streamlit.testing.v1 import AppTest

import keel
from app.http.api import default_app
from app.settings import Settings

MAIN = Path(__file__).parents[2] / "ui" / "main.py"
SECONDS_TO_DRAW = 180
PAGES = {"profile": "profile_page.py", "try": "try_page.py", "audit": "audit_page.py"}
Listen = Callable[[FastAPI], AbstractContextManager[str]]
Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def url(listen: Listen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the service listens, ready to score."""
    with listen(default_app(Settings(data_dir=tmp_path_factory.mktemp("keel")))) as address:
        yield address
        st.cache_resource.clear()  # gives the pages' connections back


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[keel.Client]:
    with keel.Client(url, timeout=180) as connected:
        connected.rank("ready?", ["yes", "no"])
        yield connected


@pytest.fixture
def visit(client: keel.Client, url: str, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a page as a fresh visit of a person (``user``), or of nobody in particular."""

    def open_page(page: str = "ask", *, user: str | None = None, service: str = url, front: bool = True) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["main.py", "--url", service])
        monkeypatch.setattr("ui.session.behind_front", lambda: front)
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
        question = client.ask(user, seed=4, force=True)
        assert question is not None
        choice = "left" if len(question.left) < len(question.right) else "right"
        client.tell(user, question.question_id, choice)
    return user
