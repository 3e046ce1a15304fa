"""Spans for OpenTelemetry: one for each request and inside it one for each stage, sent as OTLP over HTTP.

A span holds method, route template, status and the request's id: no text, no person, no path, no tenant. It continues
the caller's trace (W3C Trace Context, header ``traceparent``). OpenTelemetry's own ``OTEL_`` variables say the rest:
name of the service, headers of the collector, sampling. https://opentelemetry.io/docs/specs/otlp/
"""

from typing import Protocol

from app.observing.measured import Measured
from elicitation.errors import InvalidInput

LIST = "requirements-otel.txt"


class Spans(Protocol):
    """Where finished requests go."""

    def add(self, request: Measured, method: str, route: str, status: int, traceparent: str | None) -> None:
        """Note a request that has just ended; never waits."""

    def close(self) -> None:
        """Send what is left; some seconds at most."""


def open_spans(url: str, version: str) -> Spans | None:
    """Spans for the collector at ``url``, None if it is empty. Raises InvalidInput without OpenTelemetry."""
    if not url:
        return None
    try:
        from app.observing.otlp import OtlpSpans
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"KEEL_OTLP_URL is set and {error.name} is not installed; run `.venv/bin/python -m pip install --no-deps "
            f"--require-hashes -r {LIST}`, or unset KEEL_OTLP_URL"
        ) from error
    return OtlpSpans(url, version)
