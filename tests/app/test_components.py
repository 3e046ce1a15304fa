"""Components: every reward of a request taken apart into the shares of the heads and of the gate, which sum to it."""

from typing import Any

import httpx
import pytest
import torch

from app.scoring.coefficients import CoefficientBatch
from tests.app.test_scoring import PROMPT, RESPONSES, scored, taught

pytestmark = pytest.mark.slow


def sums(reply: dict[str, Any]) -> list[float]:
    return [sum(shares) for shares in zip(*reply["components"].values(), strict=True)]


@pytest.mark.parametrize(
    "options",
    [{}, {"detail": True}, {"mix": 0.3}, {"baseline": RESPONSES[:2]}, {"user_id": "ada"}],
    ids=["plain", "detail", "mix", "baseline", "person"],
)
async def test_components_sum_to_the_reward(http: httpx.AsyncClient, options: dict[str, Any]) -> None:
    await taught(http, "ada", "llr")
    reply = await scored(http, components=True, **options)
    assert sums(reply) == pytest.approx(reply["rewards"], abs=1e-12)
    assert reply["rewards"] == (await scored(http, **options))["rewards"]


async def test_components_are_of_the_reward_before_it_is_shaped(http: httpx.AsyncClient) -> None:
    await taught(http, "ada", "llr")
    plain = await scored(http, user_id="ada", components=True)
    for shape in ({"normalize": "reference"}, {"bounded": True}, {"conciseness": 0.5}):
        shaped = await scored(http, user_id="ada", components=True, **shape)
        assert shaped["rewards"] != plain["rewards"]
        assert shaped["components"] == plain["components"]


async def test_their_names_are_in_info_and_their_values_in_details(http: httpx.AsyncClient) -> None:
    await taught(http, "ada", "llr")
    reply = await scored(http, user_id="ada", components=True, detail=True)
    info = (await http.get("/info")).json()
    assert list(reply["components"]) == info["components"] == [*(head["name"] for head in info["heads"]), "gate"]
    for row, detail in enumerate(reply["details"]):
        assert {name: reply["components"][name][row] for name in detail["heads"]} == detail["heads"]


async def test_a_rejected_response_is_the_gate_s_share_alone(http: httpx.AsyncClient) -> None:
    body = {"prompts": [PROMPT] * 2, "completions": ["", RESPONSES[0]], "components": True}
    reply = (await http.post("/v1/score", json=body)).json()
    *heads, gate = reply["components"].values()
    assert [shares[0] for shares in heads] == [0.0] * len(heads)
    assert gate == [reply["rewards"][0], 0.0]


async def test_they_are_left_out_unless_asked_for(http: httpx.AsyncClient) -> None:
    assert (await scored(http))["components"] is None


def test_what_lifts_a_reward_to_the_lowest_is_the_gate_s_share() -> None:
    one = torch.ones(1, dtype=torch.float64)
    batch = CoefficientBatch(
        torch.tensor([0, 0, 0]), torch.ones(1, 2), torch.ones(1, 2), torch.eye(2)[None], one, -3 * one, -2 * one
    )
    phi = torch.tensor([[1.0, 2.0], [-4.0, 1.0], [5.0, 5.0]], dtype=torch.float64)
    passed = torch.tensor([True, True, False])
    shares = batch.shares(phi, passed)
    assert shares.tolist() == [[1.0, 2.0, 0.0], [-4.0, 1.0, 1.0], [0.0, 0.0, -3.0]]
    assert shares.sum(-1).tolist() == batch.rewards(phi, passed).tolist()
