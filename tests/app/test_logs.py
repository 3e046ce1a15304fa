"""The log: one JSON line per request, and nothing that a person wrote or is called."""

import importlib
import json
import logging
import time
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from app.http.logs import LINES_PER_WINDOW, REQUESTS_PER_WINDOW, WINDOW_SECONDS, log_to_stderr

LOGGERS = ("keel", "uvicorn", "uvicorn.error", "asyncio")
SECRETS = ("zenobia", "palmyra", "aqueduct", "pomegranate", "swordfish")


@pytest.fixture(autouse=True)
def loggers_are_put_back() -> Iterator[None]:
    before = {name: (logging.getLogger(name).handlers, logging.getLogger(name).propagate) for name in LOGGERS}
    yield
    for name, (handlers, propagate) in before.items():
        logging.getLogger(name).handlers, logging.getLogger(name).propagate = handlers, propagate


def read(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capfd.readouterr().err
    for secret in SECRETS:
        assert secret not in captured
    return [json.loads(line) for line in captured.splitlines() if line.startswith("{")]


async def test_one_line_per_request_without_personal_text(
    capfd: pytest.CaptureFixture[str], http: httpx.AsyncClient
) -> None:
    log_to_stderr()
    question = (await http.post("/v1/users/zenobia/questions")).json()["question_id"]
    answer = {"question_id": question, "choice": "left", "note": "like palmyra"}
    await http.post("/v1/users/zenobia/answers", json=answer, headers={"X-User-Id": "zenobia"})
    await http.post("/v1/score", json={"user_id": "zenobia", "prompts": ["aqueduct"], "completions": ["pomegranate"]})
    await http.post("/v1/users/zenobia/answers", json=answer | {"choice": "palmyra"})
    await http.get("/v1/users/zenobia/nowhere?q=palmyra")
    requests = [line for line in read(capfd) if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in requests] == [
        ("/v1/users/{user_id}/questions", 201),
        ("/v1/users/{user_id}/answers", 201),
        ("/v1/score", 200),
        ("/v1/users/{user_id}/answers", 422),
        ("unknown", 404),
    ]
    fields = {"time", "level", "event", "method", "route", "status", "milliseconds", "request_id"}
    assert all(set(line) == fields for line in requests)


async def test_an_unexpected_error_is_logged_by_place_and_kind_alone(
    capfd: pytest.CaptureFixture[str], http: httpx.AsyncClient, service_app: FastAPI
) -> None:
    log_to_stderr()

    @service_app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("swordfish of zenobia")

    assert (await http.get("/broken")).status_code == 500
    (line,) = [line for line in read(capfd) if line["event"] == "unexpected"]
    assert line["exception"] == "RuntimeError"
    assert "broken" in str(line["place"])


async def test_methods_that_a_caller_invents_are_one_label(
    capfd: pytest.CaptureFixture[str], http: httpx.AsyncClient
) -> None:
    log_to_stderr()
    for n in range(30):
        for path in ("/v1/score", "/health/live", f"/{n}"):
            await http.request(f"SWORDFISH{n}", path)
    metrics = (await http.get("/metrics")).text
    assert "SWORDFISH" not in metrics
    assert 'method="other",route="/v1/score",status="405"} 30.0' in metrics
    assert {line["method"] for line in read(capfd) if line["event"] == "request"} == {"other", "any", "GET"}


def test_lines_of_the_server_are_ours_in_a_process_that_imported_streamlit(capfd: pytest.CaptureFixture[str]) -> None:
    logger = importlib.import_module("streamlit.logger")
    logger.init_uvicorn_logs()
    log_to_stderr()
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    captured = capfd.readouterr().err
    assert [json.loads(line)["event"] for line in captured.splitlines()] == ["Invalid HTTP request received."]


def test_a_flood_of_one_kind_is_a_burst_and_a_count(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log_to_stderr()
    asyncio_log = logging.getLogger("asyncio")
    clock = time.monotonic()
    for _ in range(20_000):
        asyncio_log.error("socket.accept() out of system resource\nsocket: swordfish", exc_info=OSError("palmyra"))
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    monkeypatch.setattr("app.http.logs.time.monotonic", lambda: clock + 3_600)
    asyncio_log.error("socket.accept() out of system resource\nsocket: swordfish")
    lines = read(capfd)
    accepts = [line for line in lines if line["event"] == "socket.accept() out of system resource"]
    assert len(accepts) == LINES_PER_WINDOW + 1
    assert accepts[-1]["left_out"] == 20_000 - LINES_PER_WINDOW
    assert [line["event"] for line in lines if line not in accepts] == ["Invalid HTTP request received."]


async def test_a_flood_of_requests_is_a_burst_in_the_log_and_whole_in_the_metrics(
    capfd: pytest.CaptureFixture[str], http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_to_stderr()
    clock = time.monotonic()
    monkeypatch.setattr("app.http.logs.time.monotonic", lambda: clock)
    flood = REQUESTS_PER_WINDOW + 200
    for n in range(flood):
        # What a caller may choose makes no kind of its own.
        await http.request(f"M{n % 7}", f"/swordfish/{n}", headers={"X-Request-Id": f"id-{n}"})
    monkeypatch.setattr("app.http.logs.time.monotonic", lambda: clock + WINDOW_SECONDS + 1)
    await http.get("/zenobia")
    lines = [line for line in read(capfd) if line["event"] == "request"]
    assert len(lines) == REQUESTS_PER_WINDOW + 1
    assert lines[-1]["left_out"] == 200
    metrics = (await http.get("/metrics")).text
    assert f'keel_requests_total{{method="any",route="unknown",status="404"}} {flood + 1}.0' in metrics
