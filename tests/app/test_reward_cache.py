"""The reward of an item for a profile is computed once, is the same in any company, and goes with the profile."""

import gc
from dataclasses import replace

import httpx
import pytest
import torch
from fastapi import FastAPI

from app.profiles.profiles import Profile
from app.scoring import reward_cache
from app.scoring.coefficients import CoefficientBatch, stack_items
from app.scoring.engine import Item
from app.scoring.reward_cache import RewardCache
from safeguards.gate import GateResult


@pytest.fixture
def profile(service_app: FastAPI) -> Profile:
    aggregate: Profile = service_app.state.service.profiles.aggregate
    return aggregate


def items(k: int, n: int = 5) -> list[Item]:
    generator = torch.Generator().manual_seed(2)
    rows = 2 * torch.randn(n, k, generator=generator, dtype=torch.float64)
    gates = [GateResult(("empty",)) if i == 1 else GateResult() for i in range(n)]
    return [Item(row, row[None], gate, True) for row, gate in zip(rows, gates, strict=True)]


def test_it_is_the_tables_reward_and_score(profile: Profile) -> None:
    some = items(len(profile.posterior.mean))
    table = CoefficientBatch.of([profile], [0] * len(some))
    rewards = table.rewards(*stack_items(some))
    found = RewardCache().of([profile] * len(some), some)
    assert [one.reward for one in found] == rewards.tolist()
    assert [one.score for one in found] == table.scores(rewards).tolist()


def test_it_is_remembered_for_each_profile_and_the_same_in_any_company(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, other = items(len(profile.posterior.mean)), replace(profile, scale=replace(profile.scale, std=2.0))
    rewards = RewardCache()
    together = rewards.of([profile, other] * 2 + [profile], some)
    alone = [
        RewardCache().of([owner], [item])[0] for owner, item in zip([profile, other] * 2 + [profile], some, strict=True)
    ]
    assert together == alone
    monkeypatch.setattr(reward_cache, "_computed", None)
    assert rewards.of([profile, other], some[:2]) == together[:2]


def test_an_item_that_comes_twice_is_computed_once(profile: Profile) -> None:
    some = items(len(profile.posterior.mean))
    first, again, other = RewardCache().of([profile] * 3, [some[0], some[0], some[2]])
    assert first is again != other


def test_what_a_profile_remembers_goes_with_it(profile: Profile) -> None:
    rewards, erased = RewardCache(), replace(profile)
    rewards.of([profile, erased], items(len(profile.posterior.mean), 2))
    assert len(rewards._known) == 2
    del erased
    gc.collect()
    assert list(rewards._known) == [profile]


async def test_a_shaped_reward_is_not_taken_for_the_plain_one(http: httpx.AsyncClient) -> None:
    body = {"prompts": ["Basil?"], "completions": ["Give it light, and water when it is dry."]}
    plain = (await http.post("/v1/score", json=body)).json()
    bounded = (await http.post("/v1/score", json=body | {"bounded": True})).json()
    detailed = (await http.post("/v1/score", json=body | {"detail": True})).json()
    assert bounded["rewards"] == pytest.approx(plain["scores"])
    assert (detailed["rewards"], detailed["scores"]) == (plain["rewards"], plain["scores"])
