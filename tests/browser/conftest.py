"""The service and the web page as processes of their own, and a real headless Chromium to visit them."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import Chrome

from tests.ui.pages import serving

ROOT = Path(__file__).parents[2]
SECONDS_TO_START = 120
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE = (1280, 800)


def skip_without_a_browser() -> None:
    """Skips a module; on CI a missing browser is a failure of the tests that need it."""
    if os.environ.get("CI") != "true" and not (
        shutil.which("chromedriver") and (shutil.which("chromium") or shutil.which("google-chrome"))
    ):
        pytest.skip(
            "no Chromium with chromedriver; get them with: sh tests/browser/install.sh", allow_module_level=True
        )


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """Paths of a Chromium and its driver."""
    browser, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.fail("no Chromium with chromedriver; get them with: sh tests/browser/install.sh")
    return browser, driver


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, chromium: tuple[str, str]) -> Iterator[str]:
    """Address of the shipped service."""
    port, folder = free_port(), tmp_path_factory.mktemp("keel")
    arguments = ["serve", "--no-ui", "--port", str(port), "--data-dir", str(folder)]
    with running([sys.executable, "-m", "app", *arguments], f"http://127.0.0.1:{port}/health/ready"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def page(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the web page over that service."""
    with serving(tmp_path_factory.mktemp("page"), service=service) as started:
        yield started.address


@pytest.fixture
def browser(request: pytest.FixtureRequest, chromium: tuple[str, str], tmp_path: Path) -> Iterator[Chrome]:
    """A fresh browser with a window as wide as a desk's, unless the test asks for another size."""
    binary, driver = chromium
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    chrome = Chrome(options=options, service=webdriver.ChromeService(driver))
    width, height = getattr(request, "param", WIDE)
    # Chromium makes no window narrower than 500 pixels; emulating the screen does.
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield chrome
    chrome.quit()


@contextmanager
def running(command: list[str], health: str) -> Iterator[None]:
    """A process, from the moment its health address answers until the end of the block."""
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(health, process)
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for(address: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            time.sleep(0.2)
    pytest.fail(f"{process.args} did not answer at {address} within {SECONDS_TO_START} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
