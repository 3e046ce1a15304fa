"""An audit end to end: people answer over HTTP, the report measures them, is kept, and can be found again."""

from typing import Any

import httpx
import pytest
import torch
from fastapi import FastAPI

from reward_bases.artifact import Artifact
from safeguards.audit import Audit
from safeguards.findings import MIN_PEOPLE
from safeguards.guard import starc

pytestmark = pytest.mark.slow

PEOPLE = MIN_PEOPLE + 1


async def answers(http: httpx.AsyncClient, name: str, choices: str) -> None:
    for choice in choices:
        question = (await http.post(f"/v1/users/{name}/questions", json={"force": True, "seed": 4})).json()
        body = {"question_id": question["question_id"], "choice": {"l": "left", "r": "right", "s": "skip"}[choice]}
        assert (await http.post(f"/v1/users/{name}/answers", json=body)).status_code == 201


async def audited(http: httpx.AsyncClient) -> dict[str, Any]:
    response = await http.post("/v1/audits")
    assert response.status_code == 201, response.text
    reply: dict[str, Any] = response.json()
    return reply


def finding(reply: dict[str, Any], number: int, source: str = "reference") -> dict[str, Any]:
    findings = reply["report"]["findings"]
    found: dict[str, Any] = next(f for f in findings if (f["number"], f["source"]) == (number, source))
    return found


async def test_an_audit_measures_the_served_coefficients_and_is_kept(
    http: httpx.AsyncClient, artifact: Artifact, service_app: FastAPI
) -> None:
    for person in range(PEOPLE):
        await answers(http, f"person{person}", "lrl" if person % 2 else "rrs")
    reply = await audited(http)
    assert Audit.from_dict(reply["report"]).content_hash == reply["audit_id"]
    assert (await http.get("/v1/audits/latest")).json() == reply
    assert [len(trend["points"]) for trend in reply["trends"]] == [1] * len(reply["report"]["findings"])
    assert (await http.get(f"/v1/audits/{reply['audit_id']}")).json() == reply
    service = service_app.state.service
    people = await service.store.people("local")
    guarded = torch.stack([(await service.profiles.of(person)).guarded.coefficients for person in people])
    expected = starc(guarded, artifact.population.mean, service.profiles.policy.reference).mean()
    distance = finding(reply, 1)
    assert distance["n"] == PEOPLE
    assert abs(distance["value"] - float(expected)) < 1e-12
    assert distance["low"] <= distance["value"] <= distance["high"]
    assert finding(reply, 10, "served")["n"] == sum(len(c.replace("s", "")) for c in ("lrl", "rrs")) * PEOPLE // 2


async def test_too_few_people_are_inconclusive_and_never_green(http: httpx.AsyncClient) -> None:
    await answers(http, "ada", "lr")
    found = {(f["number"], f["source"]): f["status"] for f in (await audited(http))["report"]["findings"]}
    assert found.pop((9, "reference")) != "inconclusive", "the closed loop simulates its people"
    assert set(found.values()) == {"inconclusive"}


async def test_an_audit_of_nobody_is_inconclusive(http: httpx.AsyncClient) -> None:
    await http.post("/v1/users/visitor/questions")
    reply = await audited(http)
    assert finding(reply, 1)["status"] == "inconclusive"
    assert finding(reply, 1)["n"] == 0


async def test_the_same_snapshot_gives_the_same_report_and_another_answer_another(http: httpx.AsyncClient) -> None:
    await answers(http, "ada", "l")
    first, second = await audited(http), await audited(http)
    assert first["audit_id"] == second["audit_id"]
    await answers(http, "ada", "r")
    assert (await audited(http))["audit_id"] != first["audit_id"]


async def test_a_report_names_nobody(http: httpx.AsyncClient) -> None:
    await answers(http, "wilhelmina", "lr")
    assert "wilhelmina" not in str(await audited(http))


async def test_trends_and_changes_speak_of_the_reports_before(http: httpx.AsyncClient) -> None:
    first = await audited(http)
    for person in range(PEOPLE):
        await answers(http, f"person{person}", "lr")
    second = await audited(http)
    distance = next(t for t in second["trends"] if (t["number"], t["source"]) == (1, "reference"))
    assert [point["status"] for point in distance["points"]] == ["inconclusive", finding(second, 1)["status"]]
    assert [point["created_at"] for point in distance["points"]] == [first["created_at"], second["created_at"]]
    changed = next(c for c in second["changes"] if (c["number"], c["source"]) == (1, "reference"))
    assert (changed["before"], changed["now"]) == ("inconclusive", finding(second, 1)["status"])
    assert (await http.get(f"/v1/audits/{first['audit_id']}")).json()["changes"] == []


async def test_mistakes_are_weighted_by_where_the_policy_goes(http: httpx.AsyncClient) -> None:
    for person in range(MIN_PEOPLE):
        await answers(http, f"person{person}", "lrlr")
    rates = {rate["weighting"]: rate for rate in (await audited(http))["report"]["errors"]}
    assert set(rates) == {"flat", "softmax", "best of 16"}
    assert rates["flat"]["value"] in {0, 0.25, 0.5, 0.75, 1}
