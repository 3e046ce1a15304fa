"""Spans for OpenTelemetry: what a collector gets, what it never gets, and what happens without one."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.keys import stored_keys
from app.storage.opening import open_store
from elicitation.errors import InvalidInput

pytestmark = pytest.mark.slow

Listen = Callable[[FastAPI], AbstractContextManager[str]]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRETS = ("zenobia", "aqueduct", "pomegranate", "palmyra", "acme")
ATTRIBUTES = {"http.request.method", "http.route", "http.response.status_code", "keel.request_id"}


class Listener:
    """Notes the path and the body of each request that it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def spans(self) -> list[Span]:
        batches = [ExportTraceServiceRequest.FromString(body) for _, body in self.got]
        return [s for b in batches for of in b.resource_spans for scope in of.scope_spans for s in scope.spans]


@contextmanager
def listener() -> Iterator[Listener]:
    opened = Listener()
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def collector() -> Iterator[Listener]:
    with listener() as opened:
        yield opened


@pytest.fixture
def served(settings: Settings, engine: Engine, listen: Listen) -> Callable[[str], AbstractContextManager[str]]:
    """A service that sends its spans to a URL; all are sent once it has ended."""

    def serve(url: str) -> AbstractContextManager[str]:
        chosen = settings.model_copy(update={"otlp_url": url})
        return listen(create_app(chosen, open_store(chosen), engine))

    return serve


@pytest.fixture
async def key(settings: Settings) -> str:
    async with stored_keys(settings) as keys:
        return (await keys.create("acme"))[1]


def client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=60, trust_env=False)


def test_a_request_is_a_span_of_its_callers_trace_with_a_span_for_each_stage(
    collector: Listener, served: Callable[[str], AbstractContextManager[str]], key: str
) -> None:
    before = time.time_ns()
    with served(collector.url) as url, client(url, key) as http:
        http.post("/v1/users/zenobia/questions?q=palmyra")
        body = {"prompts": ["aqueduct"], "completions": ["pomegranate"], "user_id": "zenobia"}
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "palmyra=1", "X-Request-Id": "step-7"}
        reply = http.post("/v1/score", json=body, headers=headers)
        assert reply.status_code == 200
        shown = {part.partition(";")[0] for part in reply.headers["Server-Timing"].split(", ")} - {"total"}
    assert {path for path, _ in collector.got} == {"/v1/traces"}
    (span,) = [span for span in collector.spans if span.name == "POST /v1/score"]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.kind == Span.SPAN_KIND_SERVER
    values = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
    assert values == {
        "http.request.method": "POST",
        "http.route": "/v1/score",
        "http.response.status_code": 200,
        "keel.request_id": "step-7",
    }
    inside = [one for one in collector.spans if one.parent_span_id == span.span_id]
    assert {one.name for one in inside} == shown
    assert {"encode", "store", "reward"} <= shown
    assert all(span.start_time_unix_nano <= one.start_time_unix_nano for one in inside)
    assert all(one.end_time_unix_nano <= span.end_time_unix_nano for one in inside)
    assert before <= span.start_time_unix_nano <= span.end_time_unix_nano <= time.time_ns()


def test_a_collector_gets_no_text_no_person_no_tenant_and_no_strangers_request(
    collector: Listener, served: Callable[[str], AbstractContextManager[str]], key: str
) -> None:
    with served(collector.url) as url, client(url, key) as http:
        http.post("/v1/users/zenobia/questions", headers={"tracestate": "palmyra=1", "User-Agent": "palmyra"})
        http.post("/u/zenobia/v1/score", json={"prompts": ["aqueduct"], "completions": ["pomegranate"]})
        http.get("/palmyra/zenobia?aqueduct")
        http.post("/v1/score", json={"prompts": "aqueduct"})
        httpx.get(f"{url}/health/live")
        httpx.post(f"{url}/v1/score", json={"prompts": ["aqueduct"], "completions": ["pomegranate"]})
    requests = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert len(requests) == 4
    assert {one.key for span in collector.spans for one in span.attributes} == ATTRIBUTES
    assert not any(secret.encode() in body for secret in SECRETS for _, body in collector.got)
    statuses = [one.value.int_value for span in requests for one in span.attributes if "status" in one.key]
    assert sorted(statuses) == [200, 201, 404, 422]


@pytest.mark.parametrize(
    "traceparent", ["", "00-0-0-01", f"00-{TRACE}-{PARENT}", "aqueduct", f"00-{'0' * 32}-{PARENT}-01"]
)
def test_a_trace_that_cannot_be_read_is_left_out(
    traceparent: str, collector: Listener, served: Callable[[str], AbstractContextManager[str]]
) -> None:
    with served(collector.url) as url:
        assert httpx.get(f"{url}/info", headers={"traceparent": traceparent}).status_code == 200
    (span,) = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert span.parent_span_id == b""
    assert span.trace_id.hex() != TRACE


def test_a_collector_on_this_machine_is_reached_without_a_proxy(
    collector: Listener, served: Callable[[str], AbstractContextManager[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with served(collector.url) as url:
            assert httpx.get(f"{url}/info", trust_env=False).status_code == 200
        assert proxy.got == []
    assert [span.name for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER] == ["GET /info"]


def test_requests_and_the_end_of_the_service_do_not_wait_for_a_collector_that_is_away(
    served: Callable[[str], AbstractContextManager[str]],
) -> None:
    with listener() as gone:
        url_of_nobody = gone.url
    with served(url_of_nobody) as url:
        start = time.monotonic()
        for _ in range(20):
            assert httpx.get(f"{url}/info", trust_env=False).status_code == 200
        assert time.monotonic() - start < 3
        start = time.monotonic()
    assert time.monotonic() - start < 8


def test_without_the_extra_the_setting_is_refused_with_what_to_install(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("opentelemetry", "app.observing.otlp"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    chosen = settings.model_copy(update={"otlp_url": "http://127.0.0.1:4318"})
    with pytest.raises(InvalidInput, match="requirements-otel") as refused:
        create_app(chosen, open_store(chosen), engine)
    assert "KEEL_OTLP_URL" in str(refused.value)
    assert (Path(__file__).parents[2] / "requirements-otel.txt").is_file()


def test_without_the_setting_nothing_of_it_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from app.http.api import default_app; from app.settings import Settings\n"
        f"default_app(Settings(data_dir=Path({str(tmp_path)!r})))\n"
        "ours = ('opentelemetry.sdk', 'opentelemetry.exporter', 'app.observing.otlp')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_variable_of_the_environment_makes_the_web_framework_send_what_it_sees(
    collector: Listener, tmp_path: Path
) -> None:
    code = (
        "import sys, httpx; from pathlib import Path; from listening import listening\n"
        "from app.http.api import default_app; from app.settings import Settings\n"
        f"with listening(default_app(Settings(data_dir=Path({str(tmp_path)!r})))) as url:\n"
        "    print(httpx.post(f'{url}/v1/users/zenobia/answers', json={'question_id': 3}).status_code)\n"
    )
    tests = Path(__file__).parents[1]
    named = {"FASTAPI_OTEL_AUTO_CONFIGURE": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    more = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "otlp"}
    environment = {**os.environ, "PYTHONPATH": f"{tests.parent}:{tests}", **named, **more}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "422\n", done.stderr
    assert collector.got == []


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "ftp://collector", "http://", "file:///etc/passwd"])
def test_a_url_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="otlp_url"):
        Settings(data_dir=tmp_path, otlp_url=url)
