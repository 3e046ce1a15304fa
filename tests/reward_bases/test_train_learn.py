"""Base rewards learned from many people's judgments."""

from dataclasses import replace
from statistics import median

import pytest
import torch
from torch import Tensor

from elicitation.choice import ChoiceModel, Outcomes
from elicitation.crowd import infer_many
from elicitation.errors import InvalidInput
from elicitation.population import Component, Population
from elicitation.quadrature import gauss_hermite
from reward_bases.train.data.judgments import NOBODY, InMemory, Judgments
from reward_bases.train.model.heads import (
    Factors,
    Ridges,
    aggregate_head,
    improve,
    moments,
    refit_heads,
    spectral_start,
    start_factors,
)
from reward_bases.train.model.learn import Learned, LearnSettings, learn
from reward_bases.train.validate.choose import choose_settings
from reward_bases.train.validate.covariance_scale import COVARIANCE_SCALES, MIN_GAIN, Gains, remember, surest_scale
from reward_bases.train.validate.inner_fold import ANSWERS, inner_folds, log_likelihood

FEATURES, PROMPTS, PER_PROMPT = 12, 40, 6
MODEL = ChoiceModel(tie=1e-6, lapse=0.0, log_consistency_std=0.0)
NOTHING_FIXED = torch.zeros(0, FEATURES, dtype=torch.float64)


def made(
    people: int = 60, each: int = 40, seed: int = 0, shared: float = 0.0, apart: float = 2.0
) -> tuple[Judgments, Tensor]:
    """Judgments of people who differ in features 0 and 1 by ``apart`` and all like feature 2 by ``shared``; tastes."""
    generator = torch.Generator().manual_seed(seed)
    items = torch.randn(PROMPTS * PER_PROMPT, FEATURES, generator=generator).double()
    tastes = torch.zeros(people, FEATURES).double()
    tastes[:, :2] = apart * torch.randn(people, 2, generator=generator).double()
    tastes[:, 2] = shared
    who = torch.arange(people).repeat_interleave(each)
    prompts = torch.randint(PROMPTS, (len(who),), generator=generator)
    places = torch.rand(len(who), PER_PROMPT, generator=generator).argsort(1)[:, :2]
    left, right = (prompts[:, None] * PER_PROMPT + places).T
    z = ((items[left] - items[right]) * tastes[who]).sum(1)
    column = torch.where(torch.rand(len(who), generator=generator).double() < z.sigmoid(), 0, 2)
    outcomes = Outcomes(column, (1 - column).double(), torch.zeros(len(who)).double())
    return Judgments(InMemory(items), left, right, who, prompts, outcomes, people), tastes


def share_of(heads: Tensor, features: list[int]) -> float:
    """How much of the span of ``features`` the heads (K, F) cover, 0 to 1."""
    basis = torch.linalg.qr(heads.T).Q
    return float((basis[features].square().sum()) / len(features))


def test_differences_stream_in_blocks_as_they_would_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged, _ = made(people=5)
    (at_once,) = (x for _, x in judged.blocks())
    monkeypatch.setattr("reward_bases.train.data.judgments.BLOCK", 7)
    torch.testing.assert_close(torch.cat([x for _, x in judged.blocks()]), at_once)
    heads = torch.randn(3, FEATURES, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(judged.crowd(heads).differences, at_once @ heads.T)


def test_a_vote_is_about_one_item() -> None:
    judged, _ = made(people=2)
    votes = replace(judged, right=torch.full_like(judged.right, NOBODY))
    (differences,) = (x for _, x in votes.blocks())
    assert torch.equal(differences, judged.items.rows(judged.left))


def test_judgments_out_of_order_are_refused() -> None:
    judged, _ = made(people=2)
    with pytest.raises(InvalidInput, match="not sorted by person"):
        replace(judged, people=judged.people.flip(0))


def test_the_aggregate_is_what_people_share() -> None:
    judged, _ = made(shared=1.5)
    weights, coefficients = aggregate_head(judged, MODEL, NOTHING_FIXED, ridge=1.0)
    assert int(weights.abs().argmax()) == 2
    assert coefficients.tolist() == [1.0]


def test_the_start_looks_where_people_differ_not_where_they_agree() -> None:
    judged, _ = made(shared=1.5)
    weights, coefficients = aggregate_head(judged, MODEL, NOTHING_FIXED, ridge=1.0)
    start = spectral_start(judged, MODEL, weights[None], coefficients, 2)
    assert share_of(start, [0, 1]) > 0.85


def test_learned_heads_span_what_people_differ_in() -> None:
    judged, _ = made()
    learned = learn(judged, NOTHING_FIXED, LearnSettings(learned=2, ridge=1.0))
    assert share_of(learned.heads[1:], [0, 1]) > 0.95


def test_there_are_no_more_learned_heads_than_features() -> None:
    judged, _ = made(people=30, each=20)
    narrow = replace(judged, items=InMemory(judged.items.rows(torch.arange(PROMPTS * PER_PROMPT))[:, :3]))
    learned = learn(narrow, NOTHING_FIXED[:, :3], LearnSettings(learned=4, ridge=1.0))
    assert len(learned.heads) == learned.population.k == 1 + 3


def test_fixed_heads_keep_their_weights_and_come_after_the_aggregate() -> None:
    judged, _ = made()
    fixed = torch.zeros(1, FEATURES).double()
    fixed[0, 0] = 1.0
    learned = learn(judged, fixed, LearnSettings(learned=1, ridge=1.0))
    assert torch.equal(learned.heads[1], fixed[0])
    assert share_of(learned.heads[1:], [0, 1]) > 0.95
    assert float(learned.population.covariance[1, 1]) > 1.0


def votes_and_pairs() -> tuple[Judgments, Tensor]:
    """Judgments of which every third is a vote and every fifth a tie, and the differences (N, F) they are about."""
    judged, _ = made(people=15, each=15, shared=1.0)
    rows = torch.arange(len(judged))
    column = torch.where(rows % 5 == 0, 1, judged.outcomes.column)
    outcomes = Outcomes(column, (1 - column).double(), judged.outcomes.strength)
    mixed = replace(judged, right=torch.where(rows % 3 == 0, NOBODY, judged.right), outcomes=outcomes)
    return mixed, torch.cat([x for _, x in mixed.blocks()])


def test_the_gradient_of_the_heads_vanishes_where_the_m_step_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The expected log-likelihood written out over all judgments, differentiated by autograd."""
    judged, x = votes_and_pairs()
    model, ridges = replace(MODEL, tie=0.4, side_bias=0.3), Ridges(5.0, 7.0)
    fixed = torch.eye(FEATURES).double()[:1]
    start = start_factors(judged, model, fixed, 2, aggregate_head(judged, model, fixed, 5.0))
    people = moments(start.population, model, judged.crowd(start.heads))
    nodes, weights = gauss_hermite(5)
    free = torch.tensor([0, 2, 3])
    ridge = torch.tensor([5.0, 7.0, 7.0]).double()

    def gradient(heads: Tensor) -> Tensor:
        heads = heads.clone().requires_grad_(True)
        phi, (mean, covariance) = x @ heads.T, (part[judged.people] for part in people)
        spread = torch.einsum("nk,nkl,nl->n", phi, covariance, phi).sqrt()
        z = (phi * mean).sum(1) + model.side_bias + nodes[:, None] * spread
        likelihood = (weights @ model.log_likelihood(z, judged.outcomes)).sum()
        (ridge @ heads[free].square().sum(1) / 2 - likelihood).backward()
        assert heads.grad is not None
        return heads.grad[free]

    monkeypatch.setattr("reward_bases.train.data.judgments.BLOCK", 37)
    at = start.heads
    for _ in range(4):
        at = refit_heads(judged, model, at, people, 1, ridges)
    assert torch.equal(at[1], fixed[0])
    assert float(gradient(at).norm()) < 1e-3 * float(gradient(start.heads).norm())


def test_the_gradient_of_the_aggregate_vanishes_beside_that_of_the_fixed_heads() -> None:
    judged, x = votes_and_pairs()
    model, fixed = replace(MODEL, tie=0.4), torch.eye(FEATURES).double()[:2]
    weights, coefficients = aggregate_head(judged, model, fixed, ridge=3.0)
    parts = [weights.requires_grad_(True), coefficients[1:].clone().requires_grad_(True)]
    z = x @ (parts[0] + parts[1] @ fixed)
    slopes = torch.autograd.grad(1.5 * parts[0].square().sum() - model.log_likelihood(z, judged.outcomes).sum(), parts)
    assert max(float(slope.norm()) for slope in slopes) < 1e-3 * float(x.norm())


def test_rounds_resume_where_they_were_left() -> None:
    judged, _ = made(people=20, each=20)
    settings = LearnSettings(learned=2, ridge=1.0, rounds=4)
    kept: list[Factors] = []
    whole = learn(judged, NOTHING_FIXED, settings, lambda factors, _: kept.append(factors))
    resumed = learn(judged, NOTHING_FIXED, settings, checkpoint=kept[1])
    assert [factors.rounds for factors in kept] == [1, 2, 3, 4]
    assert torch.equal(resumed.heads, whole.heads)
    assert torch.equal(resumed.population.covariance, whole.population.covariance)


def test_a_strong_ridge_makes_a_quiet_head() -> None:
    judged, _ = made(people=20, each=20)
    sizes = []
    for ridge in (1.0, 1e5):
        ridges = Ridges(1.0, ridge)
        start = start_factors(judged, MODEL, NOTHING_FIXED, 1, aggregate_head(judged, MODEL, NOTHING_FIXED, 1.0))
        sizes.append(float(improve(judged, MODEL, 0, start, ridges, 1, lambda *_: None).heads[1].norm()))
    assert sizes[1] < 0.1 * sizes[0]


def test_a_prediction_averages_over_what_is_believed() -> None:
    """Against drawing coefficients from the belief by hand."""
    judged, _ = made(people=1, each=6)
    population = Population((Component(1.0, torch.tensor([0.3]).double(), torch.tensor([[0.5]]).double()),))
    learned = Learned(torch.eye(1, FEATURES).double(), population, MODEL)
    empty = judged.where(torch.zeros(len(judged), dtype=torch.bool))
    beliefs = infer_many(population, MODEL, empty.crowd(learned.heads))
    crowd = judged.crowd(learned.heads)
    drawn = 0.3 + 0.5**0.5 * torch.randn(400_000, generator=torch.Generator().manual_seed(0)).double()
    by_hand = torch.stack(
        [
            MODEL.log_likelihood(drawn * x, Outcomes(c.expand(len(drawn)), t.expand(len(drawn)), 0 * drawn))
            .exp()
            .mean()
            for x, c, t in zip(crowd.differences[:, 0], crowd.outcomes.column, crowd.outcomes.towards, strict=True)
        ]
    )
    torch.testing.assert_close(log_likelihood(beliefs, MODEL, crowd).exp(), by_hand, atol=3e-3, rtol=0)


def test_held_out_people_teach_nothing_and_new_prompts_are_new() -> None:
    judged, _ = made(people=30)
    for part in inner_folds(judged, True, torch.Generator().manual_seed(0)):
        taught = set(part.teach.prompts.tolist())
        assert part.teach.size + part.draws[0].observed.size == judged.size
        for draw in part.draws:
            assert not taught & set(draw.held_out.prompts.tolist())
            assert int(torch.bincount(draw.observed.people).max()) <= ANSWERS
            assert len(draw.held_out) > 0


def shuffled(judged: Judgments) -> Judgments:
    """The same judgments, each given to a random person."""
    order = torch.randperm(len(judged), generator=torch.Generator().manual_seed(0))
    return replace(
        judged,
        left=judged.left[order],
        right=judged.right[order],
        prompts=judged.prompts[order],
        outcomes=judged.outcomes[order],
    )


@pytest.mark.slow
def test_people_who_differ_are_personalised_and_shuffled_judgments_are_not() -> None:
    judged, _ = made(people=60, shared=1.0)
    memory: dict[str, float] = {}
    best = choose_settings(judged, NOTHING_FIXED, LearnSettings(learned=2), True, memory=memory)
    assert best.learned >= 2
    assert best.mean_held
    assert best.covariance_scale >= 0.5
    assert choose_settings(judged, NOTHING_FIXED, LearnSettings(learned=2), True, memory=dict(memory)) == best
    by_chance = choose_settings(shuffled(judged), NOTHING_FIXED, LearnSettings(learned=2), True)
    assert (by_chance.covariance_scale, by_chance.learned) == (COVARIANCE_SCALES[0], 0)


@pytest.mark.slow
def test_a_learned_mean_of_heads_that_memorise_their_prompts_is_shrunk() -> None:
    """Without a ridge, few judgments make a head too sure of new prompts; with many there is little to shrink.

    Of few, the folds hold out a dozen: one set by itself may be lucky.
    """
    given = frozenset(
        {"ridge", "learned", "aggregate_ridge", "consistency", "components", "covariance_scale", "mean_held"}
    )
    start = LearnSettings(learned=0, aggregate_ridge=0.01, covariance_scale=0.01, fixed_scale=0.01)
    few = [made(people=12, each=10, seed=seed, shared=1.0, apart=0.0)[0] for seed in range(5)]
    many, _ = made(people=12, each=200, shared=1.0, apart=0.0)
    assert median(choose_settings(each, NOTHING_FIXED, start, True, given).mean_shrinkage for each in few) < 0.8
    assert choose_settings(many, NOTHING_FIXED, start, True, given).mean_shrinkage >= 0.8


def test_given_settings_stay() -> None:
    judged, _ = made(people=12, each=10)
    start = LearnSettings(learned=1, ridge=7.0, covariance_scale=0.6)
    given = {"ridge", "learned", "aggregate_ridge", "consistency", "components", "covariance_scale", "mean_shrinkage"}
    assert choose_settings(judged, NOTHING_FIXED, start, False, frozenset(given)) == start


def test_settings_keep_their_names_in_files() -> None:
    settings = LearnSettings(covariance_scale=0.3, mean_shrinkage=0.7)
    stored = settings.as_stored()
    assert (stored["strength"], stored["calm"]) == (0.3, 0.7)
    assert stored.keys() == {
        *("learned", "ridge", "aggregate_ridge", "rounds", "population_rounds", "consistency"),
        *("components", "strength", "fixed_scale", "mean_held", "calm", "label_noise"),
        *("prior_spreads", "prior_people", "seed"),
    }
    assert LearnSettings.of_stored(stored) == settings


def test_settings_of_0_1_0_have_one_scale_and_a_learned_mean() -> None:
    stored = LearnSettings(covariance_scale=0.3).as_stored()
    found = LearnSettings.of_stored({name: stored[name] for name in stored.keys() - {"fixed_scale", "mean_held"}})
    assert (found.fixed_scale, found.mean_held) == (0.3, False)


@pytest.mark.slow
def test_a_given_mixture_is_divided_from_one_gaussian() -> None:
    judged, _ = made(people=12, each=10)
    given = frozenset({"ridge", "learned", "aggregate_ridge", "consistency", "components"})
    assert choose_settings(judged, NOTHING_FIXED, LearnSettings(learned=1, components=2), False, given).components == 2


def gained(people: int, prompts: int, each: int, seed: int = 0) -> Gains:
    """Gains of 0.05 nats in judgments of people about random prompts; people and prompts vary, and so do judgments."""
    generator = torch.Generator().manual_seed(seed)
    who = torch.arange(people).repeat_interleave(each)
    about = torch.randint(prompts, (len(who),), generator=generator)
    own, common = (0.2 * torch.randn(size, generator=generator).double() for size in (people, prompts))
    single = 0.1 * torch.randn(len(who), generator=generator).double()
    return Gains((0.05 + own[who] + common[about] + single)[None], who, about)


def test_the_error_of_a_gain_is_its_spread_over_people_and_prompts_drawn_anew() -> None:
    drawn = [gained(40, 25, 30, seed) for seed in range(300)]
    spread = torch.cat([each.rates for each in drawn]).std()
    assert float(torch.cat([each.errors for each in drawn]).mean()) == pytest.approx(float(spread), rel=0.15)


def test_one_witness_is_never_sure() -> None:
    one_prompt = gained(40, 1, 30)
    assert float(one_prompt.errors) > 1e3


def test_judging_often_makes_nobody_a_better_witness() -> None:
    some = gained(20, 10, 30)
    rows = torch.arange(len(some.people)).repeat_interleave(5)
    often = Gains(some.each[:, rows], some.people[rows], some.prompts[rows])
    torch.testing.assert_close(often.errors, some.errors)


@pytest.mark.parametrize(
    ("rates", "error", "scale"),
    [
        ({0.1: 0.02, 0.5: 0.05, 1.0: 0.03}, 0.01, 0.5),
        ({0.1: 0.02, 0.5: 0.05, 1.0: 0.03}, 0.05, None),
        ({0.1: MIN_GAIN}, 0.0, None),
    ],
)
def test_a_gain_must_be_larger_than_its_error(rates: dict[float, float], error: float, scale: float | None) -> None:
    """By more than MIN_GAIN; of those that are, the largest gain counts."""
    each = torch.tensor([[rates.get(s, 0.0)] for s in COVARIANCE_SCALES], dtype=torch.float64)
    memory: dict[str, float] = {}
    remember(Gains(each, torch.zeros(1).long(), torch.zeros(1).long()), "strength", memory)
    memory |= {f"strength {s}, standard error": error for s in COVARIANCE_SCALES}
    assert surest_scale("strength", memory) == scale


def test_held_out_answers_are_most_likely_under_the_population_that_made_them() -> None:
    judged, _ = made(people=40)
    (part, *_) = inner_folds(judged, False, torch.Generator().manual_seed(0))
    heads = torch.eye(2, FEATURES).double()

    def likelihood(variance: float) -> float:
        population = Population((Component(1.0, torch.zeros(2).double(), variance * torch.eye(2).double()),))
        return float(part.log_likelihoods(Learned(heads, population, MODEL), [population]).mean())

    assert likelihood(4.0) > likelihood(0.01)
    assert likelihood(4.0) > likelihood(400.0)
