"""The mean that few people are given: the aggregate head, as sure as people are."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from elicitation.choice import ChoiceModel, Outcomes
from elicitation.crowd import Crowd, infer_many
from elicitation.empirical import learn as learn_by_em
from elicitation.empirical import with_covariance_scaled
from elicitation.population import Component, Population
from reward_bases.train.data.judgments import NOBODY, InMemory, Judgments
from reward_bases.train.model.held_mean import agreeing
from reward_bases.train.model.learn import LearnSettings, as_served, begin, everybodys_head, learn, population_from
from reward_bases.train.validate.choose import choose_settings
from reward_bases.train.validate.covariance_scale import COVARIANCE_SCALES
from reward_bases.train.validate.inner_fold import log_likelihood

FEATURES = 6
MODEL = ChoiceModel(tie=0.4, side_bias=0.1, lapse=0.0, log_consistency_std=0.0)
HELD = LearnSettings(learned=2, ridge=10.0, aggregate_ridge=30.0, mean_held=True)
NOTHING_FIXED = torch.zeros(0, FEATURES, dtype=torch.float64)


def judged(people: int = 30, each: int = 20, seed: int = 0) -> Judgments:
    """People who like feature 0 alike, and differ in feature 1."""
    generator = torch.Generator().manual_seed(seed)
    items = torch.randn(200, FEATURES, generator=generator).double()
    who = torch.arange(people).repeat_interleave(each)
    left, right = torch.randint(200, (2, len(who)), generator=generator)
    tastes = torch.randn(people, generator=generator).double()
    difference = items[left] - items[right]
    z = difference[:, 0] + tastes[who] * difference[:, 1]
    column = MODEL.probabilities(z).multinomial(1, generator=generator)[:, 0]
    outcomes = Outcomes(column, (1 - column).double(), torch.zeros(len(who)).double())
    return Judgments(InMemory(items), left, right, who, left // 4, outcomes, people)


def crowd_of(pairs: Tensor) -> Crowd:
    nothing = torch.zeros(len(pairs))
    return Crowd(pairs, nothing.long(), Outcomes(nothing.long(), nothing.double(), nothing.double()), 1)


@pytest.mark.parametrize("consistency", [0.0, 0.6])
def test_people_of_the_agreeing_mean_choose_together_as_the_head_does(consistency: float) -> None:
    """Against people drawn from the population: what they choose together is as near to the head's as it can be."""
    generator = torch.Generator().manual_seed(1)
    head, pairs = torch.tensor([0.8, -0.3]).double(), torch.randn(40, 2, generator=generator).double()
    spread = torch.tensor([0.5, 1.5]).double()
    population = Population((Component(1.0, head, torch.diag(spread)),))
    model = replace(MODEL, log_consistency_std=consistency)
    apart = spread.sqrt() * torch.randn(20_000, 2, generator=generator).double()
    kappa = (consistency * torch.randn(20_000, 1, generator=generator).double()).exp()
    said = model.probabilities(pairs @ head + model.side_bias)

    def cross_entropy(factor: float) -> float:
        together = model.probabilities(kappa * ((factor * head + apart) @ pairs.T + model.side_bias)).mean(0)
        return -float((said * together.log()).sum())

    found = agreeing(population, model, crowd_of(pairs))
    assert found > 1.05
    assert min((0.85, 0.95, 1.0, 1.05, 1.15), key=lambda times: cross_entropy(times * found)) == 1.0


def test_people_who_are_alike_are_as_sure_as_the_head() -> None:
    head, pairs = torch.tensor([0.8, -0.3]).double(), torch.randn(40, 2).double()
    alike = Population((Component(1.0, head, 1e-12 * torch.eye(2).double()),))
    assert agreeing(alike, MODEL, crowd_of(pairs)) == pytest.approx(1.0, abs=1e-3)


def test_the_more_people_differ_the_surer_is_their_mean() -> None:
    head, pairs = torch.tensor([0.8, -0.3]).double(), torch.randn(40, 2).double()
    population = Population((Component(1.0, head, torch.eye(2).double()),))
    factors = [agreeing(with_covariance_scaled(population, scale), MODEL, crowd_of(pairs)) for scale in (0.1, 0.5, 2.0)]
    assert factors == sorted(factors)
    assert factors[2] > factors[0] + 0.1


def test_pairs_on_which_the_head_is_certain_have_a_factor_too() -> None:
    head, pairs = torch.tensor([400.0]).double(), torch.tensor([[3.0], [-2.0]]).double()
    population = Population((Component(1.0, head, torch.ones(1, 1).double()),))
    assert 0.4 < agreeing(population, MODEL, crowd_of(pairs)) < 21


def test_a_held_mean_has_the_direction_of_the_aggregate_head() -> None:
    of = judged()
    learned = learn(of, NOTHING_FIXED, HELD)
    weights, _ = everybodys_head(of, learned.model, NOTHING_FIXED, HELD)
    served = learned.population.mean @ learned.heads
    assert float(torch.cosine_similarity(served, weights, dim=0)) == pytest.approx(1.0, abs=1e-6)
    assert float(served.norm()) > float(weights.norm())


def test_without_answers_a_held_mean_predicts_what_the_head_predicts() -> None:
    of, new = judged(), judged(seed=1)
    learned = learn(of, NOTHING_FIXED, HELD)
    weights, _ = everybodys_head(of, learned.model, NOTHING_FIXED, HELD)
    asked = new.crowd(learned.heads)
    nothing = asked.where(torch.zeros(len(new), dtype=torch.bool))
    personal = log_likelihood(infer_many(learned.population, learned.model, nothing), learned.model, asked).mean()
    z = new.crowd(weights[None]).differences[:, 0] + learned.model.side_bias
    assert float(personal) == pytest.approx(float(learned.model.log_likelihood(z, new.outcomes).mean()), abs=2e-3)


def test_em_around_a_held_mean_finds_the_spread_around_it() -> None:
    """A mean that is learned takes a part of it: what is held away from the mean is spread."""
    of, model = judged(people=200, each=40), replace(MODEL, side_bias=0.0)
    heads = torch.eye(2, FEATURES).double()
    start = Population((Component(1.0, torch.zeros(2).double(), torch.eye(2).double()),))
    held, free = (learn_by_em(of.crowd(heads), model, start, 20, held).population for held in (True, False))
    assert held.mean.tolist() == [0.0, 0.0]
    moved = free.covariance + torch.outer(free.mean, free.mean)
    torch.testing.assert_close(held.covariance, moved, atol=0.15, rtol=0)


def test_given_heads_and_tastes_have_scales_of_their_own() -> None:
    of, fixed = judged(), torch.eye(1, FEATURES).double()
    settings = replace(HELD, learned=1)
    start = begin(of, fixed, settings)
    plain, scaled = (
        learn(of, fixed, some).population.covariance
        for some in (settings, replace(settings, fixed_scale=0.25, covariance_scale=4.0))
    )
    factors = torch.tensor([0.5, 0.5, 2.0]).double()
    assert len(start.factors.heads) == 3
    torch.testing.assert_close(scaled, plain * torch.outer(factors, factors))


def votes(passed: float) -> Judgments:
    """Votes of which a share is passed."""
    of = judged()
    column = torch.where(torch.arange(len(of)) < passed * len(of), 1, 2 * (of.outcomes.column // 2))
    outcomes = Outcomes(column, (1 - column).double(), of.outcomes.strength)
    return replace(of, right=torch.full_like(of.right, NOBODY), outcomes=outcomes)


def test_passed_votes_do_not_teach_a_held_head() -> None:
    some = votes(passed=0.3)
    decided = some.where(~some.outcomes.ties.bool())
    heads = [everybodys_head(of, MODEL, NOTHING_FIXED, HELD)[0] for of in (some, decided)]
    assert torch.equal(*heads)
    learned = [everybodys_head(of, MODEL, NOTHING_FIXED, replace(HELD, mean_held=False))[0] for of in (some, decided)]
    assert not torch.allclose(*learned)


def test_ties_between_answers_do_teach() -> None:
    of = judged()
    decided = of.where(~of.outcomes.ties.bool())
    assert len(decided) < len(of)
    assert not torch.allclose(*(everybodys_head(some, MODEL, NOTHING_FIXED, HELD)[0] for some in (of, decided)))


def test_a_refit_from_stored_people_is_the_population_that_was_served() -> None:
    of, fixed = judged(), torch.eye(1, FEATURES).double()
    settings = replace(HELD, fixed_scale=0.5, covariance_scale=0.7)
    kept = []
    learned = learn(of, fixed, settings, lambda factors, _: kept.append(factors))
    given = torch.tensor([True, True, False, False])
    again = population_from(of.crowd(learned.heads), learned.model, kept[-1].population, settings, given)
    torch.testing.assert_close(again.mean, learned.population.mean)
    torch.testing.assert_close(again.covariance, learned.population.covariance)
    assert as_served(of, replace(learned, population=kept[-1].population), settings, 2).population.k == 4


@pytest.mark.parametrize(("alone", "found"), [(0.01, 0.5), (1.4, 1.4)])
def test_who_differ_in_tastes_differ_as_much_in_the_given_heads(alone: float, found: float) -> None:
    surely = {"fixed_scale": alone, "strength": 0.5}
    memory = {
        f"{name} {scale}, {what}": value
        for name, best in surely.items()
        for scale in COVARIANCE_SCALES
        for what, value in (("gained per judgment", 0.1 * (scale == best > 0.01)), ("standard error", 0.01))
    }
    start, fixed = replace(HELD, learned=2), torch.eye(1, FEATURES).double()
    given = frozenset({"learned", "ridge", "aggregate_ridge", "consistency"})
    chosen = choose_settings(judged(), fixed, start, True, given, memory)
    assert (chosen.covariance_scale, chosen.fixed_scale) == (0.5, found)


@pytest.mark.parametrize(("errors", "chosen"), [(0.9, 8), (1.1, 6)])
def test_another_number_of_heads_must_gain_one_standard_error(errors: float, chosen: int) -> None:
    begun, memory = replace(HELD, learned=8), {}
    for number, rate in ((8, -0.69), (6, -0.68), (4, -0.70), (12, -0.71)):
        names = {**begun.as_stored(), "learned": number, "fixed_scale": 0.01}
        memory[", ".join(["heads", *(f"{name} {value}" for name, value in names.items())])] = rate
    memory["learned 6, gained on 8, standard errors"] = errors
    given = frozenset({"ridge", "aggregate_ridge", "covariance_scale", "consistency", "fixed_scale"})
    fixed = torch.eye(1, FEATURES).double()
    assert choose_settings(judged(), fixed, replace(begun, fixed_scale=0.01), True, given, memory).learned == chosen


@pytest.mark.parametrize("tastes", [0, 2])
def test_a_given_scale_of_the_given_heads_stays(tastes: int) -> None:
    given = frozenset({"fixed_scale", "covariance_scale", "learned", "ridge", "aggregate_ridge", "consistency"})
    start = replace(HELD, learned=tastes, fixed_scale=0.7)
    assert choose_settings(judged(), torch.eye(1, FEATURES).double(), start, True, given).fixed_scale == 0.7
