"""NeMo-Gym's stock agent around ``/verify``: it begins a session first, and reads metrics of the run at the end."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

RECORDED = json.loads(Path(__file__).with_name("nemo_gym_aggregates.json").read_text())
"""Rollouts, and what nemo-gym's own ``compute_aggregate_metrics`` says of them."""
OF_REPEATS = "_across_repeats/"


def of_rollouts(metrics: dict[str, Any]) -> dict[str, Any]:
    """Without statistics of repeats, which Keel leaves out."""
    return {name: value for name, value in metrics.items() if OF_REPEATS not in name}


@pytest.mark.parametrize("prefix", ["", "/u/ada"])
def test_an_agent_begins_with_its_row_and_gets_an_empty_object(service: httpx.Client, prefix: str) -> None:
    row = {"responses_create_params": {"input": "Basil?"}, "user_id": "ada", "verifier_metadata": {"row": 3}}
    reply = service.post(f"{prefix}/seed_session", json=row)
    assert (reply.status_code, reply.json()) == (200, {})


def test_an_environment_server_gets_its_session_back_when_it_begins_and_ends(service: httpx.Client) -> None:
    begun = {"resources_session_id": "s-1", "episode_id": "e-1", "task_id": "t-1", "task_data": {}}
    ended = {"resources_session_id": "s-1", "episode_id": "e-1"}
    for path, body in (("/seed_session", begun), ("/close_session", ended)):
        assert service.post(path, json=body).json() == {"resources_session_id": "s-1"}


def test_a_row_can_be_verified_again(service: httpx.Client) -> None:
    assert service.get("/reverify_mode").json() == "stateless"


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["case"])
def test_metrics_are_those_of_nemo_gym(service: httpx.Client, case: dict[str, Any]) -> None:
    reply = service.post("/aggregate_metrics", json={"verify_responses": case["verify_responses"]}).json()
    expected = case["reply"]
    for name in ("agent_metrics", "key_metrics"):
        assert reply[name] == pytest.approx(of_rollouts(expected[name]))
    assert len(reply["group_level_metrics"]) == len(expected["group_level_metrics"])
    for found, group in zip(reply["group_level_metrics"], expected["group_level_metrics"], strict=True):
        assert found.keys() == group.keys()
        for name, value in group.items():
            assert found[name] == (pytest.approx(value) if isinstance(value, float) else value)


def test_a_statistic_that_no_number_holds_is_left_out(service: httpx.Client) -> None:
    rollouts = [{"reward": 1.0, "vast": value} for value in (1.7e308, 1.7e308)] + [{"reward": 2.0, "vast": 10**400}]
    reply = service.post("/aggregate_metrics", json={"verify_responses": rollouts})
    assert reply.status_code == 200, reply.text
    assert reply.json()["agent_metrics"]["mean/reward"] == pytest.approx(4 / 3)
    assert "mean/vast" not in reply.json()["agent_metrics"]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/aggregate_metrics", {}, "verify_responses: required"),
        ("/aggregate_metrics", {"verify_responses": [{"reward": 1, "_ng_task_index": "a"}]}, "_ng_task_index"),
        ("/aggregate_metrics", {"verify_responses": [{"_ng_task_index": 0}]}, "reward: required"),
        ("/aggregate_metrics", {"verify_responses": [{"reward": 1, "\ud800": 1}]}, "half a character"),
        ("/seed_session", {"resources_session_id": ""}, "at least 1"),
        ("/close_session", {"episode_id": "e-1"}, "resources_session_id: required"),
    ],
)
def test_a_bad_body_is_refused_with_a_reason(service: httpx.Client, path: str, body: Any, reason: str) -> None:
    reply = service.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert reply.status_code == 422
    assert reason in reply.json()["detail"]
