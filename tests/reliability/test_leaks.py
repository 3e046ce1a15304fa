"""What starts and stops leaves nothing behind, and requests do not make the process grow."""

import gc
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from processes import Process

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

LEFT_OVER = 2
GROWTH = 1.05
WARM_UP = 500
OPEN_FILES = Path("/proc/self/fd")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="open files are counted in /proc"),
]


async def run_once(settings: Settings, artifact: Artifact, encoder: Encoder) -> None:
    """Start, ask, answer, score, stop."""
    app = create_app(settings, open_store(settings), Engine(artifact, lambda: encoder, 100, 100))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        (await http.get("/health/live")).raise_for_status()
        asked = await http.post("/v1/users/ada/questions", json={"rule": "random", "force": True})
        body = {"prompts": ["Basil?"], "completions": ["Give it light."]}
        for reply in (asked, await http.post("/v1/score", json=body), await http.post("/v1/audits")):
            assert reply.status_code < 500


def held() -> tuple[int, int]:
    """Open files and threads of this process."""
    return len(list(OPEN_FILES.iterdir())), threading.active_count()


async def test_fifty_starts_and_stops_leave_no_file_and_no_thread(
    tmp_path: Path, artifact: Artifact, encoder: Encoder
) -> None:
    settings = Settings(data_dir=tmp_path)
    for _ in range(3):
        await run_once(settings, artifact, encoder)
    gc.collect()
    files, threads = held()
    for _ in range(50):
        await run_once(settings, artifact, encoder)
    gc.collect()
    files, threads = held()[0] - files, held()[1] - threads
    print(f"50 starts and stops: {files:+} files, {threads:+} threads")
    assert files <= LEFT_OVER
    assert threads <= LEFT_OVER


def resident(pid: int) -> int:
    """Resident memory in kilobytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def ask_everything(http: httpx.Client, number: int) -> None:
    """One request of several kinds in turn. People and texts return, as caches would grow by design."""
    path, text = f"/v1/users/p{number % 10}", f"Water it {number % 50} times."
    kinds = (
        ("POST", "/v1/score", {"prompts": ["Basil?"], "completions": [text]}),
        ("POST", "/v1/rank", {"prompt": "Basil?", "candidates": [text, "Give it light."]}),
        ("POST", f"{path}/questions", {"rule": "random", "force": True}),
        ("POST", "/v1/score", {"prompts": ["Basil?"], "completions": [1]}),
        ("GET", "/health/ready", None),
        ("GET", "/metrics", None),
        ("GET", "/nowhere", None),
        ("POST", "/rm", {"prompt": "Basil?", "response": text}),
    )
    method, url, body = kinds[number % len(kinds)]
    assert http.request(method, url, json=body).status_code in (200, 201, 204, 404, 422)


@pytest.mark.parametrize("requests", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_requests_do_not_make_the_process_grow(started: Callable[..., Process], requests: int) -> None:
    service = started()
    with httpx.Client(base_url=service.address, timeout=60) as http:
        for number in range(WARM_UP):
            ask_everything(http, number)
        before = resident(service.serving)
        for number in range(requests):
            ask_everything(http, number)
    after = resident(service.serving)
    print(f"{requests} requests: {before / 1024:.0f} MB before, {after / 1024:.0f} MB after")
    assert after <= GROWTH * before
