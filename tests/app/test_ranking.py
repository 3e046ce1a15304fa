"""Rules on a candidate set: what each makes of it, and that none leaves the guard unmarked."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor

from app.http.api import create_app
from app.schemas.ranking import RankRequest, RankRule
from app.scoring.engine import Engine
from app.scoring.ranking import Candidates, RankedSet, rank_set
from app.settings import Settings
from app.storage.opening import open_store
from elicitation.errors import InvalidInput
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder
from safeguards.robust.regret import least_regret
from safeguards.robust.values import ensemble_nominal
from tests.app.test_scoring import PROMPT, RESPONSES, ranked, scored, taught

K = 3
RULES = st.sampled_from(list(RankRule))
SETS = st.integers(0, 10_000)


def drawn(seed: int, n: int = 6, seeds: int = 2) -> Candidates:
    """A person far from the aggregate, and a set of which the gate rejected some."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    phi, own, root = normal(n, K), 2 * normal(K), normal(K, K)
    refits = phi[:, None] + 0.3 * normal(n, seeds, K)
    passed = torch.rand(n, generator=generator) > 0.3
    return Candidates(phi @ own, phi @ normal(K), passed, phi, refits, own, root @ root.T)


def asking(rule: RankRule | str = "mean", **fields: Any) -> RankRequest:
    return RankRequest(prompt="?", candidates=["a"], rule=RankRule(rule), **fields)


def ranking(candidates: Candidates, budget: float = 0.5, seed: int = 0, **fields: Any) -> RankedSet:
    return rank_set(asking(**fields), candidates, budget, torch.Generator().manual_seed(seed))


@given(RULES, SETS, st.floats(0.01, 2), st.sampled_from([0.3, 1.0, 4.0]))
def test_certified_choices_of_any_rule_are_within_the_budget(
    rule: RankRule, seed: int, budget: float, beta: float
) -> None:
    candidates = drawn(seed)
    served = ranking(candidates, budget, rule=rule, beta=beta, certify=True)
    assert served.divergence <= budget + 1e-12
    free = ranking(candidates, budget, rule=rule, beta=beta)
    assert (served.alpha == 1) == (free.divergence <= budget)
    assert float(served.probability.sum()) == pytest.approx(float(candidates.passed.any()))
    assert not bool(served.probability[~candidates.passed].any())


@given(RULES, SETS)
def test_every_candidate_has_a_place_and_the_rejected_ones_the_last(rule: RankRule, seed: int) -> None:
    candidates = drawn(seed)
    order = ranking(candidates, rule=rule).order
    assert sorted(order) == list(range(6))
    accepted = int(candidates.passed.sum())
    assert bool(candidates.passed[order[:accepted]].all())


@given(RULES, SETS)
def test_what_all_candidates_share_changes_no_choice(rule: RankRule, seed: int) -> None:
    candidates = drawn(seed)
    shift = torch.full((K,), 3.0, dtype=torch.float64)
    moved = replace(
        candidates,
        rewards=candidates.rewards + shift @ candidates.coefficients,
        phi=candidates.phi + shift,
        refits=candidates.refits + shift,
    )
    torch.testing.assert_close(ranking(candidates, rule=rule).probability, ranking(moved, rule=rule).probability)


@pytest.mark.slow
@given(SETS, st.floats(0, 5), st.sampled_from([0.5, 1.0, 2.0]))
def test_each_rule_gives_its_own_value(seed: int, kappa: float, beta: float) -> None:
    candidates = replace(drawn(seed), passed=torch.ones(6, dtype=torch.bool))
    centred = candidates.phi - candidates.phi.mean(0)
    variance = ((centred @ candidates.covariance) * centred).sum(1)
    seeds = torch.cat([candidates.phi[:, None], candidates.refits], 1).transpose(0, 1)
    expected = {
        "mean": candidates.rewards,
        "soft": candidates.rewards,
        "lcb": candidates.rewards - kappa * variance.sqrt(),
        "pessimistic": candidates.rewards - variance / (2 * beta),
        "brme": ensemble_nominal(seeds, candidates.coefficients, candidates.covariance, 0.5),
    }
    for rule, values in expected.items():
        found = ranking(candidates, rule=rule, beta=beta, **({"kappa": kappa} if rule == "lcb" else {}))
        torch.testing.assert_close(found.values, values)
        torch.testing.assert_close(found.probability, (values / beta).softmax(0))
    hedged = ranking(candidates, rule="drro", rho=2.0).probability
    torch.testing.assert_close(hedged, least_regret(candidates.rewards, 2.0))


@given(RULES, SETS, st.lists(st.integers(0, 1), min_size=6, max_size=6), st.booleans())
def test_agreeing_candidates_get_no_more_than_the_aggregate_gives(
    rule: RankRule, seed: int, agreement: list[int], certify: bool
) -> None:
    candidates = drawn(seed)
    found = ranking(candidates, rule=rule, agreement=agreement, certify=certify)
    agrees, passed = torch.tensor(agreement).bool(), candidates.passed
    common = torch.where(passed, candidates.aggregate, -torch.inf).softmax(0).nan_to_num()
    assert float(found.probability[agrees].sum()) <= float(common[agrees].sum()) + 1e-9


def test_equal_candidates_keep_the_order_of_the_request() -> None:
    values, passed = torch.tensor([1.0, 2.0, 1.0, 2.0], dtype=torch.float64), torch.ones(4, dtype=torch.bool)
    parts = (values[:, None], values[:, None, None], torch.ones(1, dtype=torch.float64), torch.zeros(1, 1).double())
    found = ranking(Candidates(values, values, passed, *parts))
    assert found.order == [1, 3, 0, 2]
    assert found.divergence == pytest.approx(0)


def test_rewards_too_far_apart_for_a_probability_still_have_an_order() -> None:
    candidates = replace(drawn(1), passed=torch.ones(6, dtype=torch.bool), rewards=torch.arange(6).double() * 1e4)
    assert ranking(candidates).order == [5, 4, 3, 2, 1, 0]


@pytest.mark.slow
@examples(max_examples=10)
@given(st.integers(0, 100))
def test_the_soft_rule_draws_its_order_by_seed(seed: int) -> None:
    candidates = drawn(seed)
    first = [ranking(candidates, rule="soft", seed=draw).order[0] for draw in range(150)]
    chances = ranking(candidates, rule="soft").probability
    if bool(candidates.passed.any()):
        share = torch.bincount(torch.tensor(first), minlength=6) / 150
        assert float((share - chances).abs().max()) < 0.17
    assert ranking(candidates, rule="soft", seed=1).order == ranking(candidates, rule="soft", seed=1).order


def test_a_basis_without_an_ensemble_says_how_to_get_one() -> None:
    with pytest.raises(InvalidInput, match="keel train --ensemble 3"):
        ranking(drawn(0, seeds=0), rule="brme")


async def test_the_service_marks_or_certifies_every_rule(http: httpx.AsyncClient, artifact: Artifact) -> None:
    await taught(http, choices="rrrrr")
    budget = artifact.budget["divergence"]
    for rule in ("lcb", "pessimistic", "drro", "soft"):
        free, held = [await ranked(http, user_id="ada", rule=rule, certify=certify) for certify in (False, True)]
        assert free["outside_guard"] == (free["set_divergence"] > budget), rule
        assert held["set_divergence"] <= budget
        assert not held["outside_guard"]
        scores = [{result["index"]: result["score"] for result in reply["results"]} for reply in (free, held)]
        assert scores[0] == scores[1], "the score is the profile's constant, whatever the rule"


async def test_a_temperature_of_its_own_is_not_covered_by_the_guards_bounds(http: httpx.AsyncClient) -> None:
    await taught(http, choices="rrrrr")
    cold = await ranked(http, user_id="ada", beta=0.01)
    assert cold["outside_guard"]
    assert cold["results"][0]["probability"] > (await ranked(http, user_id="ada"))["results"][0]["probability"]


async def test_the_curve_counts_rejected_candidates_at_the_floor(http: httpx.AsyncClient) -> None:
    texts = [*RESPONSES, ""]
    rewards = (await scored(http, prompts=[PROMPT] * 5, completions=texts))["rewards"]
    reply = await ranked(http, candidates=texts, curve=True, beta=0.05)
    points = reply["curve"]
    assert [point["n"] for point in points] == [1, 2, 3, 4, 5]
    assert points[0]["reward"] == pytest.approx(sum(rewards) / 5)
    assert points[4]["reward"] == pytest.approx(max(rewards))
    worth = [point["reward"] - 0.05 * point["divergence"] for point in points]
    assert reply["recommended_n"] == 1 + worth.index(max(worth))
    assert (await ranked(http, candidates=texts))["curve"] is None


async def test_heads_refitted_on_other_people_serve_the_rule_that_needs_them(
    settings: Settings, artifact: Artifact, encoder: Encoder
) -> None:
    generator = torch.Generator().manual_seed(2)
    weights = artifact.basis.weights
    noise = torch.randn(3, *weights.shape, generator=generator, dtype=torch.float64)
    own = replace(artifact, basis=replace(artifact.basis, ensemble=weights * (1 + 0.2 * noise)))
    app = create_app(settings, open_store(settings), Engine(own, lambda: encoder, 1000, 1000))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            sure, wary = [await ranked(http, rule="brme", nominal=nominal) for nominal in (1.0, 0.0)]
    chances = [{r["index"]: r["probability"] for r in reply["results"]} for reply in (sure, wary)]
    assert chances[0] != chances[1]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"rule": "brme"}, "of which this basis has 0"),
        ({"rho": 2}, "rho belongs to rule 'drro'"),
        ({"rule": "lcb", "kappa": -1}, "greater than or equal to 0"),
        ({"beta": 0}, "greater than or equal to 0.001"),
        ({"rule": "drro", "rho": -1}, "greater than or equal to 0"),
        ({"agreement": [1]}, "1 values of agreement for 4 candidates"),
        ({"agreement": [2, 0, 0, 0]}, "0 or 1"),
    ],
)
async def test_what_a_rule_cannot_use_is_refused(http: httpx.AsyncClient, body: dict[str, Any], said: str) -> None:
    reply = await http.post("/v1/rank", json={"prompt": PROMPT, "candidates": RESPONSES} | body)
    assert reply.status_code == 422
    assert said in reply.text
