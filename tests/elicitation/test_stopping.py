"""Stopping, and the honesty of the expected total."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elicitation.acquisition import Rule, choose
from elicitation.choice import OUTCOMES, ChoiceModel
from elicitation.errors import InvalidInput
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, Posterior, infer
from elicitation.stopping import DEFAULT_RULE, StoppingRule, expected_total, flip_share, worth_asking

K = 5
MODEL = ChoiceModel()
MEAN = torch.tensor([0.5, -0.3, 0.2, 0.0, 0.1], dtype=torch.float64)
POOL, TARGETS = (torch.randn(n, K, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in (60, 300))
ALL = torch.ones(len(POOL), dtype=torch.bool)


def belief(variance: float) -> Posterior:
    return Posterior((Component(1.0, MEAN, variance * torch.eye(K, dtype=torch.float64)),), 0.0)


def test_the_flip_share_is_the_share_of_wrong_signs_by_monte_carlo(generator: torch.Generator) -> None:
    covariance = torch.diag(torch.tensor([1.0, 0.5, 0.2, 0.1, 0.0], dtype=torch.float64))
    draws = MEAN + torch.randn(100_000, K, generator=generator, dtype=torch.float64) @ covariance.sqrt()
    wrong = (draws @ TARGETS.T > 0) != (TARGETS @ MEAN > 0)
    assert flip_share(MEAN, covariance, TARGETS) == pytest.approx(float(wrong.double().mean()), abs=0.003)


def test_a_known_person_flips_nothing_and_is_asked_the_minimum() -> None:
    known = belief(0.0)
    assert flip_share(known.mean, known.covariance, TARGETS) == 0
    assert expected_total(known, MODEL, POOL, ALL, TARGETS, asked=0) == DEFAULT_RULE.minimum
    assert not worth_asking(known, MODEL, POOL, ALL, TARGETS, asked=DEFAULT_RULE.minimum)


def test_a_person_who_cannot_be_learned_in_time_is_asked_the_maximum() -> None:
    rule = StoppingRule(gain=2e-3)
    assert expected_total(belief(9.0), MODEL, POOL, ALL, TARGETS, asked=0, rule=rule) == rule.maximum
    assert not worth_asking(belief(9.0), MODEL, POOL, ALL, TARGETS, asked=DEFAULT_RULE.maximum)


def test_less_uncertainty_needs_fewer_questions() -> None:
    totals = [expected_total(belief(v), MODEL, POOL, ALL, TARGETS, asked=0) for v in (0.02, 0.3, 1.0, 2.0, 6.0)]
    assert totals == sorted(totals)
    assert totals[0] < totals[2] < totals[-1]


@settings(max_examples=40)
@given(variance=st.floats(0, 30), asked=st.integers(0, 30))
def test_the_total_is_bounded_and_agrees_with_whether_to_ask(variance: float, asked: int) -> None:
    total = expected_total(belief(variance), MODEL, POOL, ALL, TARGETS, asked)
    assert max(asked, DEFAULT_RULE.minimum) <= total <= max(asked, DEFAULT_RULE.maximum)
    assert (total > asked) == worth_asking(belief(variance), MODEL, POOL, ALL, TARGETS, asked)


def test_a_small_pool_limits_the_total() -> None:
    two_left = torch.zeros_like(ALL)
    two_left[[4, 9]] = True
    assert expected_total(belief(10.0), MODEL, POOL, two_left, TARGETS, asked=5) == 7
    nothing_left = torch.zeros_like(ALL)
    assert not worth_asking(belief(10.0), MODEL, POOL, nothing_left, TARGETS, asked=0)


@pytest.mark.parametrize("threshold", ["flip_share", "gain"])
def test_either_threshold_stops(threshold: str) -> None:
    strict = replace(DEFAULT_RULE, **{threshold: 1.0})
    assert expected_total(belief(2.0), MODEL, POOL, ALL, TARGETS, asked=0) > DEFAULT_RULE.minimum
    assert expected_total(belief(2.0), MODEL, POOL, ALL, TARGETS, asked=0, rule=strict) == DEFAULT_RULE.minimum


@pytest.mark.slow
def test_the_first_expected_total_is_close_to_what_people_are_asked(generator: torch.Generator) -> None:
    """Over people drawn from the population and asked to the end, the mean error is below two questions."""
    population = Population((Component(1.0, MEAN, torch.eye(K, dtype=torch.float64)),))
    start = infer(population, MODEL, Evidence(POOL[:0], (), ()))
    promised = expected_total(start, MODEL, POOL, ALL, TARGETS, asked=0)
    asked = [ask_to_the_end(population, start, generator) for _ in range(15)]
    assert DEFAULT_RULE.minimum < promised < DEFAULT_RULE.maximum
    assert sum(asked) / len(asked) == pytest.approx(promised, abs=2)


def ask_to_the_end(population: Population, start: Posterior, generator: torch.Generator) -> int:
    taste = MEAN + torch.randn(K, generator=generator, dtype=torch.float64)
    posterior, allowed, rows, columns = start, ALL.clone(), list[int](), list[int]()
    while worth_asking(posterior, MODEL, POOL, allowed, TARGETS, len(rows)):
        row = choose(Rule.IOPT, posterior, MODEL, POOL, allowed, TARGETS, generator).index
        allowed[row] = False
        rows.append(row)
        columns.append(int(torch.multinomial(MODEL.probabilities(POOL[row] @ taste), 1, generator=generator)))
        choices = tuple(OUTCOMES[column] for column in columns)
        posterior = infer(population, MODEL, Evidence(POOL[rows], choices, (None,) * len(rows)), posterior)
    return len(rows)


def test_unusable_tensors_are_named() -> None:
    spoiled: Tensor = POOL.clone()
    spoiled[1, 2] = torch.inf
    with pytest.raises(InvalidInput, match=r"pool\[1, 2\] = inf"):
        worth_asking(belief(1.0), MODEL, spoiled, ALL, TARGETS, asked=0)
    with pytest.raises(InvalidInput, match="allowed has shape"):
        expected_total(belief(1.0), MODEL, POOL, ALL[:3], TARGETS, asked=0)
