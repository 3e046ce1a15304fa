"""Dashboard and alerts in deploy/: what they ask for is measured, and what is measured is shown."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from listening import serving
from prometheus_client.parser import text_string_to_metric_families

from app.settings import Settings

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/keel.json").read_text())
(GROUP,) = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for rule in GROUP["rules"]}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}
ASKED = QUERIES | {name: rule["expr"] for name, rule in ALERTS.items()}

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SELECTOR = re.compile(rf"({NAME})\s*(?:\{{([^}}]*)\}})?")
MATCHER = re.compile(rf'({NAME})\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)|\bgroup_left\b|\[[^\]]*\]")
WORDS = {"and", "or", "unless", "bool"}
OF_PROMETHEUS = {"up"}
ADDED = {"instance", "job"}
"""Labels that Prometheus adds when it reads."""


def selected(query: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Each metric of a query in PromQL with the matchers of its labels."""
    plain = GROUPING.sub(" ", query)
    for match in SELECTOR.finditer(plain):
        called = plain[match.end() :].lstrip().startswith("(") and match[2] is None
        inside = any(quoted.start() < match.start() < quoted.end() for quoted in re.finditer(r'"[^"]*"', plain))
        if not called and not inside and match[1] not in WORDS:
            yield match[1], MATCHER.findall(match[2] or "")


@pytest.fixture
def measured(live: str) -> dict[str, list[dict[str, str]]]:
    """The labels of each sample of a running service, by its name, after requests of every kind."""
    with httpx.Client(base_url=live, timeout=60) as http:
        asked = http.post("/v1/users/ada/questions").json()
        http.post("/v1/users/ada/answers", json={"question_id": asked["question_id"], "choice": "left"})
        score = {"prompts": ["Basil?"] * 2, "completions": ["Give it light.", ""]}
        assert http.post("/v1/score", json=score | {"user_id": "ada"}).status_code == 200
        assert http.post("/v1/rank", json={"prompt": "p", "candidates": ["Yes.", "No."]}).status_code == 200
        assert http.post("/v1/audits").status_code == 201
        assert http.post("/v1/score", json={}).status_code == 422
        text = http.get("/metrics").text
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name].append(sample.labels)
    return found


def test_queries_are_taken_apart() -> None:
    query = 'sum by (le) (rate(a_total{x="1", y!~"b|c"}[5m])) / on (i) group_left max(d) > 0.5 or vector(0)'
    assert list(selected(query)) == [("a_total", [("x", "=", "1"), ("y", "!~", "b|c")]), ("d", [])]


def test_everything_that_is_asked_for_is_measured(measured: dict[str, list[dict[str, str]]]) -> None:
    for where, query in ASKED.items():
        parts = list(selected(query))
        assert parts, where
        for name, matchers in parts:
            assert name in measured or name in OF_PROMETHEUS, f"{where}: {name} is not measured"
            for label, sign, value in matchers:
                if label in ADDED:
                    continue
                known = [labels[label] for labels in measured[name] if label in labels]
                assert known, f"{where}: {name} has no label {label}"
                if sign == "=":
                    assert value in known, f"{where}: {label} of {name} is never {value}"


def test_everything_that_is_measured_is_shown(measured: dict[str, list[dict[str, str]]]) -> None:
    ours = {name for name in measured if name.startswith("keel_") and not name.endswith("_created")}
    shown = {name for query in QUERIES.values() for name, _ in selected(query)}
    parts = re.compile(r"_(bucket|sum|count)$")
    assert {parts.sub("", name) for name in ours} == {parts.sub("", name) for name in shown if name in ours}


def test_what_alerts_count_is_there_before_the_first_failure(tmp_path: Path) -> None:
    """A count that begins with the first failure shows no increase."""
    asked = {name for rule in ALERTS.values() for name, _ in selected(rule["expr"]) if name.endswith("_total")}
    with serving(tmp_path) as service:
        text = httpx.get(f"{service.address}/metrics").text
    found = {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples if sample.value == 0
    }
    assert len(asked) > 4
    assert asked - {"keel_requests_total"} <= found, "requests are counted from the first on, whatever becomes of them"


def test_groupings_are_labels_of_what_is_grouped(measured: dict[str, list[dict[str, str]]]) -> None:
    for where, query in ASKED.items():
        names = {name for name, _ in selected(query)} - OF_PROMETHEUS
        known = {label for name in names for labels in measured[name] for label in labels} | ADDED
        for group in re.findall(r"\b(?:by|on|ignoring)\s*\(([^)]*)\)", query):
            assert {label.strip() for label in group.split(",")} <= known, where


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert re.fullmatch(r"\d+[mhd]", rule.get("for", "0m"))
    assert set(rule["annotations"]) == {"summary", "remedy"}
    assert all(len(text) > 20 and text.endswith(".") for text in rule["annotations"].values())
    assert re.search(r"[<>=]", rule["expr"])
    for variable in re.findall(r"KEEL_([A-Z_]+)", rule["annotations"]["remedy"]):
        assert variable.lower() in Settings.model_fields


def test_alerts_compare_with_what_a_histogram_can_say(measured: dict[str, list[dict[str, str]]]) -> None:
    quantiles = [rule["expr"] for rule in ALERTS.values() if "histogram_quantile" in rule["expr"]]
    assert quantiles
    for query in quantiles:
        ((name, _),) = selected(query)
        bounds = sorted({float(labels["le"]) for labels in measured[name]})
        assert float(query.rpartition(">")[2]) < bounds[-2], query


def test_the_dashboard_is_one_that_grafana_can_draw() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    for panel in PANELS:
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)", json.dumps(DASHBOARD["panels"])))
    assert used <= variables


def test_the_example_of_a_scrape_reads_the_alerts_and_the_default_address() -> None:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/scrape.yml").read_text())
    assert [(DEPLOY / "prometheus" / name).is_file() for name in found["rule_files"]] == [True]
    (job,) = found["scrape_configs"]
    settings = Settings()
    assert job["static_configs"] == [{"targets": [f"{settings.host}:{settings.port}"]}]
    assert f'job="{job["job_name"]}"' in ALERTS["KeelDown"]["expr"]
    assert job.get("metrics_path", "/metrics") == "/metrics"
