"""Spans through OpenTelemetry's SDK. This module alone imports it, and only if a collector is named."""

import time
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.observing.measured import Measured
from keel.wire import trusts_environment

PATH = "v1/traces"
EXPORT_SECONDS = 3.0
"""Time for one batch; the end of the service waits no longer for a collector that does not answer."""


class OtlpSpans:
    """Sends spans in batches from a thread of its own to the collector at ``url``."""

    def __init__(self, url: str, version: str) -> None:
        session = requests.Session()
        # A proxy of the environment would get what need not leave the machine.
        session.trust_env = trusts_environment(url)
        exporter = OTLPSpanExporter(f"{url.rstrip('/')}/{PATH}", timeout=EXPORT_SECONDS, session=session)
        about = Resource({SERVICE_NAME: "keel", SERVICE_VERSION: version}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=about, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("keel", version)

    def add(self, request: Measured, method: str, route: str, status: int, traceparent: str | None) -> None:
        """Note a request that has just ended; never waits."""
        clock = time.time_ns() - time.perf_counter_ns()
        attributes: dict[str, Any] = {"http.request.method": method, "http.route": route}
        attributes |= {"http.response.status_code": status, "keel.request_id": request.request_id}
        carrier = {} if traceparent is None else {"traceparent": traceparent}
        caller = TraceContextTextMapPropagator().extract(carrier)
        span = self._tracer.start_span(
            f"{method} {route}", caller, SpanKind.SERVER, attributes, start_time=request.start + clock
        )
        inside = set_span_in_context(span, caller)
        for stage in request.stages:
            self._tracer.start_span(stage.name, inside, start_time=stage.start + clock).end(stage.end + clock)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def close(self) -> None:
        """Send what is left; some seconds at most."""
        self._provider.shutdown()
