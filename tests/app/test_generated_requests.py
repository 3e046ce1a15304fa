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

import pytest
import schemathesis
from agreeing import RENDERED, agree, known
from hypothesis.errors import InvalidDefinition
from listening import serving
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.generation import GenerationMode

SLOWEST_SECONDS = 30
"""For one reply. An audit is the slowest: it measures everybody, and generated requests make hundreds of people."""
LIMITS = {"KEEL_MAX_TEXT_CHARS": "2000", "KEEL_MAX_ITEMS": "40", "KEEL_MAX_CANDIDATES": "30", "KEEL_MAX_MESSAGES": "20"}
"""Small enough that a body at all of its limits at once is no larger than a body may be."""
SHOWN_CHARS = 1_000
PERSON = "/v1/users/{user_id}"
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
    with serving(folder, **LIMITS) as service:
        yield Served(service.address, json.loads(made.stdout)["key"])


@pytest.fixture(autouse=True)
def generators() -> Iterator[None]:
    """What this project knows of its requests and the document cannot say."""
    schemathesis.openapi.format("rendered-chat", RENDERED)

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
            agree(case.body, case.path_parameters or {}, case.query, case.headers, known_of(case.operation))

    yield
    schemathesis.hooks.unregister(before_call)


def known_of(operation: Any) -> set[str]:
    """Names of the properties that a body of the operation has by the document."""
    document = operation.schema.raw_schema
    contents = document["paths"][operation.path][operation.method].get("requestBody", {}).get("content", {})
    return set().union(*(known(content["schema"], document) for content in contents.values()))


@dataclass
class Report:
    """Failures in words, how often each check ran, the operations asked, and those that a link led to with success."""

    failures: list[str] = field(default_factory=list)
    checks: Counter[str] = field(default_factory=Counter)
    operations: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)

    def add(self, event: Any) -> None:
        if isinstance(event, events.NonFatalError | events.FatalError) and not ended(event):
            self.failures.append(f"{getattr(event, 'label', '')}: {getattr(event, 'value', event)!r}")
        recorder = getattr(event, "recorder", None)
        for case_id, case in recorder.cases.items() if recorder else ():
            self._add_case(case, recorder.interactions.get(case_id), recorder.checks.get(case_id, ()))

    def _add_case(self, case: Any, interaction: Any, checks: Any) -> None:
        name, response = case.value.operation.label, interaction and interaction.response
        self.operations.add(name)
        if case.transition is not None and response is not None and response.status_code < 300:
            self.linked.add(name)
        for check in checks:
            self.checks[check.name] += 1
            if check.failure_info is not None:
                failure, sample = check.failure_info.failure, check.failure_info.code_sample[:SHOWN_CHARS]
                reply = f"{response.status_code} {response.content[:500]!r}" if response else "no reply"
                self.failures.append(f"{name} {check.name}: {failure.title}\n{failure.message}\n{sample}\n{reply}")


def ended(event: Any) -> bool:
    """Whether Hypothesis found no next step for a sequence, which says nothing of the service."""
    return isinstance(getattr(event, "value", None), InvalidDefinition)


def test_a_field_that_a_route_does_not_know_says_nothing_about_its_rows() -> None:
    document = {"components": {"schemas": {"One": {"anyOf": [{"properties": {"input": {}}}, {"$ref": "#/-/Two"}]}}}}
    document["components"]["schemas"]["Two"] = {"properties": {"user_ids": {}}}
    names = known({"$ref": "#/components/schemas/One"}, document)
    assert names == {"input", "user_ids"}
    body = {"input": "one row", "completions": ["a", "b", "c"], "user_ids": ["ada", "bob"], "else": 1}
    agree(body, {}, {}, {}, names)
    assert body == {"input": "one row", "user_ids": ["ada"], "else": 1}


def opened(served: Served, examples: int, seed: int, **options: object) -> Any:
    """The document, to generate so many requests of each operation from."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {served.key}"},
            "generation": {"max-examples": examples, "database": "none"},
            "checks": {"max_response_time": SLOWEST_SECONDS},
            "request-timeout": SLOWEST_SECONDS,
            "continue-on-failure": True,
            # About Hypothesis and its buffers, not about the service.
            "suppress-health-check": ["all"],
            **options,
        }
    )
    return schemathesis.openapi.from_url(f"{served.address}/openapi.json", config=config)


def explored(schema: Any) -> Report:
    """What all phases found."""
    report = Report()
    for event in from_schema(schema).execute():
        report.add(event)
    return report


def assert_whole(report: Report, schema: Any) -> None:
    """Every check ran often, every operation was asked, and links were followed: no failure means something."""
    assert [name for name in ALWAYS if report.checks[name] <= 100] == []
    paths = schema.raw_schema["paths"]
    assert report.operations == {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert "GET /v1/audits/{audit_id}" in report.linked


def followed(served: Served, paths: str, begins: str, examples: int, seed: int) -> set[str]:
    """The operations that links led to, in sequences that begin with an operation whose name has ``begins``."""
    phases = {phase: {"enabled": phase == "stateful"} for phase in ("examples", "coverage", "fuzzing", "stateful")}
    schema = opened(served, examples, seed, phases=phases).include(path_regex=paths)
    build = schema.build_state_machine

    def begun(**options: Any) -> Any:
        machine = build(**options)
        # By itself it begins with any operation, and few people are known to the service before they are asked.
        others = {name for name in machine.root_rules if begins not in name}
        rest = {"root_rules": machine.root_rules - others}
        return type("Begun", (machine,), dict.fromkeys(others) | rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(schema), "build_state_machine", lambda _, **options: begun(**options))
        report = explored(schema)
    assert report.failures == []
    return report.linked


PEOPLE = ("^/v1/users/", "questions")
FOLLOWED = {
    f"POST {PERSON}/answers",
    f"POST {PERSON}/anchors",
    f"DELETE {PERSON}/answers/last",
    f"GET {PERSON}/profile",
    f"GET {PERSON}/audit",
    f"GET {PERSON}/export",
    f"DELETE {PERSON}",
}
"""Where links lead from a question and its answer."""


@pytest.mark.slow
def test_requests_of_the_document_get_replies_of_the_document(served: Served) -> None:
    schema = opened(served, examples=5, seed=1)
    report = explored(schema)
    assert report.failures == []
    assert_whole(report, schema)


@pytest.mark.slow
def test_sequences_along_the_links_of_a_person(served: Served) -> None:
    linked = set().union(*(followed(served, *PEOPLE, examples=50, seed=seed) for seed in (1, 2)))
    assert f"POST {PERSON}/answers" in linked
    assert len(linked & FOLLOWED) >= 4


@pytest.mark.slow
def test_a_link_leads_from_an_appeal_to_its_verdict(served: Served) -> None:
    assert "POST /v1/appeals/{appeal_id}/verdict" in followed(served, "^/v1/appeals", "", examples=30, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_hundred_requests_of_each_operation(served: Served, seed: int) -> None:
    schema = opened(served, examples=200, seed=seed)
    report = explored(schema)
    assert report.failures == []
    assert_whole(report, schema)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_many_sequences_of_people(served: Served, seed: int) -> None:
    # The people of one sequence are still known in the next. Hypothesis ends a round where it notices.
    rounds = (followed(served, *PEOPLE, examples=200, seed=100 * seed + number) for number in range(10))
    assert set().union(*rounds) >= FOLLOWED
