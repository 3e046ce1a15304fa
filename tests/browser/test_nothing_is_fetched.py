"""A real browser that shows answers asks no address in them, though it does ask those of the same answers unchanged."""

import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import free_port, running, skip_without_a_browser

skip_without_a_browser()
pytestmark = pytest.mark.slow
PATIENCE = 60
SECONDS_FOR_DIAGRAMS = 5


class Listener(BaseHTTPRequestHandler):
    """Writes down what it is asked."""

    def do_GET(self) -> None:
        self.server.asked.add(self.path)  # type: ignore[attr-defined]
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def listener() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    server.asked = set()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def asked(browser: Chrome, listener: ThreadingHTTPServer, way: str) -> set[str]:
    """Paths that the browser asks for while it shows all answers."""
    port, page = free_port(), Path(__file__).with_name("shown_answers.py")
    flags = ["--server.address", "127.0.0.1", "--server.port", str(port), "--server.headless", "true"]
    arguments = ["--", f"http://127.0.0.1:{listener.server_port}", way]
    with running(
        [sys.executable, "-m", "streamlit", "run", str(page), *flags, *arguments],
        f"http://127.0.0.1:{port}/_stcore/health",
    ):
        browser.get(f"http://127.0.0.1:{port}")
        script = "return document.body.innerText.includes('All answers are on view.')"
        WebDriverWait(browser, PATIENCE).until(lambda driver: driver.execute_script(script))
        time.sleep(SECONDS_FOR_DIAGRAMS)
    return set(listener.asked)  # type: ignore[attr-defined]


def test_no_address_in_an_answer_is_asked(browser: Chrome, listener: ThreadingHTTPServer) -> None:
    assert asked(browser, listener, "faithful") == set()


def test_the_same_answers_unchanged_are_asked(browser: Chrome, listener: ThreadingHTTPServer) -> None:
    found = asked(browser, listener, "raw")
    assert {"/image.png", "/reference-image.png", "/diagram.png"} <= found, found
