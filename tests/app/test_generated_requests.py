"""Requests generated from the OpenAPI document, with every check of Schemathesis, a key in force and stateful links.

What the document allows is accepted, what it forbids is refused, and every reply is one that it describes.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import schemathesis
from agreeing import RENDERED, agree
from listening import serving
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.generation import GenerationMode

SLOWEST_SECONDS = 30
"""For one reply. An audit is the slowest: it measures everybody, and generated requests make hundreds of people."""
LIMITS = {"KEEL_MAX_TEXT_CHARS": "2000", "KEEL_MAX_ITEMS": "40", "KEEL_MAX_CANDIDATES": "30", "KEEL_MAX_MESSAGES": "20"}
"""Small enough that a body at all of its limits at once is no larger than a body may be."""
SHOWN_CHARS = 1_000
ALWAYS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "max_response_time",
)


@dataclass(frozen=True)
class Served:
    """A service in a process of its own, and a key that opens it."""

    address: str
    key: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("generated")
    create = [sys.executable, "-m", "app", "key", "create", "--tenant", "acme", "--json", "--data-dir", str(folder)]
    made = subprocess.run(create, capture_output=True, check=True)
    with serving(folder, **LIMITS) as address:
        yield Served(address, json.loads(made.stdout)["key"])


@pytest.fixture(autouse=True)
def generators() -> Iterator[None]:
    """What this project knows of its requests and the document cannot say."""
    schemathesis.openapi.format("rendered-chat", RENDERED)

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
            agree(case.body, case.path_parameters or {}, case.query, case.headers)

    yield
    schemathesis.hooks.unregister(before_call)


@dataclass
class Report:
    """Failures in words, how often each check ran, requests, and steps along links."""

    failures: list[str] = field(default_factory=list)
    checks: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    linked: int = 0
    operations: set[str] = field(default_factory=set)

    def add(self, event: Any) -> None:
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.failures.append(f"{getattr(event, 'label', '')}: {getattr(event, 'value', event)!r}")
        recorder = getattr(event, "recorder", None)
        if recorder is None:
            return
        self.requests += len(recorder.interactions)
        self.linked += sum(case.transition is not None for case in recorder.cases.values())
        self.operations |= {case.value.operation.label for case in recorder.cases.values()}
        for name, check, reply in _checks(recorder):
            self.checks[check.name] += 1
            if check.failure_info is not None:
                failure = check.failure_info.failure
                sample = check.failure_info.code_sample[:SHOWN_CHARS]
                self.failures.append(f"{name} {check.name}: {failure.title}\n{failure.message}\n{sample}\n{reply}")


def _checks(recorder: Any) -> Iterator[tuple[str, Any, str]]:
    for case_id, checks in recorder.checks.items():
        interaction = recorder.interactions.get(case_id)
        response = interaction and interaction.response
        reply = f"{response.status_code} {response.content[:500]!r}" if response else "no reply"
        for check in checks:
            yield recorder.cases[case_id].value.operation.label, check, reply


def explored(served: Served, examples: int, seed: int) -> Report:
    """What all phases of Schemathesis found with so many examples for each operation."""
    options: dict[str, Any] = {
        "seed": seed,
        "headers": {"Authorization": f"Bearer {served.key}"},
        "generation": {"max-examples": examples, "database": "none"},
        "checks": {"max_response_time": SLOWEST_SECONDS},
        "continue-on-failure": True,
        # About Hypothesis and its buffers, not about the service.
        "suppress-health-check": ["all"],
    }
    config = SchemathesisConfig.from_dict(options)
    schema = schemathesis.openapi.from_url(f"{served.address}/openapi.json", config=config)
    report = Report()
    for event in from_schema(schema).execute():
        report.add(event)
    return report


def require_clean(report: Report, document: dict[str, Any]) -> None:
    assert not report.failures, f"{len(report.failures)} failures, the first:\n" + "\n\n".join(report.failures[:10])
    for name in ALWAYS:
        assert report.checks[name] > 100, name
    routes = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert report.operations == routes
    assert report.linked > 0


@pytest.mark.slow
def test_requests_of_the_document_get_replies_of_the_document(served: Served) -> None:
    document = httpx.get(f"{served.address}/openapi.json").json()
    require_clean(explored(served, examples=5, seed=1), document)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_hundred_requests_of_each_operation(served: Served, seed: int) -> None:
    document = httpx.get(f"{served.address}/openapi.json").json()
    require_clean(explored(served, examples=200, seed=seed), document)
