"""Gains of questions, against direct sums and Monte Carlo."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from elicitation.acquisition import EPIG_CANDIDATES, MANY, RULES, Acquisition, Rule, Selection, choose, gains
from elicitation.choice import ChoiceModel
from elicitation.errors import InvalidInput
from elicitation.population import Component
from elicitation.posterior import Posterior

DRAWS = 200_000


@pytest.fixture
def pool(generator: torch.Generator) -> Tensor:
    return torch.randn(12, 4, generator=generator, dtype=torch.float64)


@pytest.fixture
def targets(generator: torch.Generator) -> Tensor:
    return torch.randn(9, 4, generator=generator, dtype=torch.float64)


def entropy(p: Tensor) -> Tensor:
    return -(p * p.log()).sum(-1)


def test_iopt_is_the_direct_sum_over_served_pairs(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> None:
    mean, covariance, kappa = posterior.mean, posterior.covariance, posterior.consistency
    expected = []
    for v in pool:
        information = float(model.information(v @ mean + model.side_bias, kappa))
        shrink = information / (1 + information * float(v @ covariance @ v))
        slopes = [float(model.win_slope(t @ mean, kappa)) for t in targets]
        reach = [float(t @ covariance @ v) for t in targets]
        expected.append(sum(s**2 * r**2 * shrink for s, r in zip(slopes, reach, strict=True)))
    found = gains(Rule.IOPT, posterior, model, pool, targets, generator)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_iopt_is_the_fall_of_the_linearised_variance(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> None:
    """Before minus after one more answer of known information, summed over the served win probabilities."""
    mean, covariance, kappa = posterior.mean, posterior.covariance, posterior.consistency
    slopes = model.win_slope(targets @ mean, kappa)
    found = gains(Rule.IOPT, posterior, model, pool, targets, generator)
    for v, gain in zip(pool, found.tolist(), strict=True):
        information = model.information(v @ mean + model.side_bias, kappa)
        after = torch.linalg.inv(torch.linalg.inv(covariance) + information * torch.outer(v, v))
        fall = ((targets @ (covariance - after)) * targets).sum(1)
        assert float((slopes**2 * fall).sum()) == pytest.approx(gain, rel=1e-8)


def test_dopt_is_half_the_fall_of_the_log_determinant(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> None:
    found = gains(Rule.DOPT, posterior, model, pool, targets, generator)
    precision = torch.linalg.inv(posterior.covariance)
    for v, gain in zip(pool, found.tolist(), strict=True):
        information = model.information(v @ posterior.mean + model.side_bias, posterior.consistency)
        rise = torch.logdet(precision + information * torch.outer(v, v)) - torch.logdet(precision)
        assert float(rise) / 2 == pytest.approx(gain, rel=1e-8)


def test_bald_is_the_mutual_information_by_monte_carlo(
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    draw_coefficients: Callable[[Posterior, int], Tensor],
) -> None:
    utilities = draw_coefficients(posterior, DRAWS) @ pool.T + model.side_bias
    p = model.probabilities(utilities, posterior.consistency)
    expected = entropy(p.mean(0)) - entropy(p).mean(0)
    found = gains(Rule.BALD, posterior, model, pool, targets, generator)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=5e-4)


def test_epig_is_the_mutual_information_with_served_answers_by_monte_carlo(
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    draw_coefficients: Callable[[Posterior, int], Tensor],
) -> None:
    draws = draw_coefficients(posterior, DRAWS)
    asked = model.probabilities(draws @ pool.T + model.side_bias, posterior.consistency)
    served = replace(model, side_bias=0.0).probabilities(draws @ targets.T, posterior.consistency)
    joint = torch.einsum("dna,dtb->ntab", asked, served) / DRAWS
    apart = entropy(joint.sum(3)) + entropy(joint.sum(2))
    expected = (apart - entropy(joint.flatten(2))).mean(1)
    found = gains(Rule.EPIG, posterior, model, pool, targets, generator)
    torch.testing.assert_close(found, expected, rtol=0.03, atol=5e-4)


def test_epig_of_a_question_about_itself_is_at_most_its_bald(
    posterior: Posterior, fair: ChoiceModel, pool: Tensor, generator: torch.Generator
) -> None:
    """An answer cannot say more about another answer than about λ."""
    bald = gains(Rule.BALD, posterior, fair, pool, pool, generator)
    for row in range(len(pool)):
        itself = gains(Rule.EPIG, posterior, fair, pool[row : row + 1], pool[row : row + 1], generator)
        assert 0 < float(itself) <= float(bald[row])


def test_epig_is_computed_for_the_best_by_iopt_alone(
    posterior: Posterior, model: ChoiceModel, targets: Tensor, generator: torch.Generator
) -> None:
    pool = torch.randn(EPIG_CANDIDATES + 40, 4, generator=generator, dtype=torch.float64)
    epig = gains(Rule.EPIG, posterior, model, pool, targets, generator)
    iopt = gains(Rule.IOPT, posterior, model, pool, targets, generator)
    dropped = epig == -torch.inf
    assert int(dropped.sum()) == 40
    assert float(iopt[dropped].max()) <= float(iopt[~dropped].min())


def test_eubo_is_the_expected_utility_of_the_better_response(
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    targets: Tensor,
    generator: torch.Generator,
) -> None:
    """Above the pair's mean it is E|λᵀv|/2, with λ matched by its moments."""
    noise = torch.randn(DRAWS, 4, generator=generator, dtype=torch.float64)
    draws = posterior.mean + noise @ torch.linalg.cholesky(posterior.covariance).T
    expected = (draws @ pool.T).abs().mean(0) / 2
    found = gains(Rule.EUBO, posterior, model, pool, targets, generator)
    torch.testing.assert_close(found, expected, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rule_names_its_unit_and_picks_its_largest_gain(
    rule: Rule, posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor
) -> None:
    everything = torch.ones(len(pool), dtype=torch.bool)
    found = gains(rule, posterior, model, pool, targets, torch.Generator().manual_seed(3))
    selection = choose(rule, posterior, model, pool, everything, targets, torch.Generator().manual_seed(3))
    assert selection == Selection(int(found.argmax()), float(found.max()), RULES[rule].unit)


@pytest.mark.parametrize("rule", list(Rule))
def test_no_question_is_repeated_when_answered_ones_are_no_longer_allowed(
    rule: Rule, posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> None:
    allowed, asked = torch.ones(len(pool), dtype=torch.bool), []
    while bool(allowed.any()):
        selection = choose(rule, posterior, model, pool, allowed, targets, generator)
        allowed[selection.index] = False
        asked.append(selection.index)
    assert sorted(asked) == list(range(len(pool)))


@pytest.mark.parametrize("rule", [Rule.IOPT, Rule.EPIG, Rule.DOPT, Rule.BALD, Rule.EUBO])
def test_a_question_about_protected_heads_alone_gains_nothing(rule: Rule, model: ChoiceModel) -> None:
    covariance = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    posterior = Posterior((Component(1.0, torch.zeros(2, dtype=torch.float64), covariance),), 0.0)
    pool = torch.tensor([[0.0, 3.0], [1.0, 0.0]], dtype=torch.float64)
    found = gains(rule, posterior, model, pool, pool, torch.Generator())
    assert abs(float(found[0])) < 1e-4 < float(found[1])


@pytest.mark.parametrize("rule", [Rule.IOPT, Rule.EPIG, Rule.DOPT, Rule.BALD, Rule.EUBO])
def test_swapping_the_sides_keeps_the_gain_without_side_bias(
    rule: Rule, posterior: Posterior, fair: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> None:
    torch.testing.assert_close(
        gains(rule, posterior, fair, -pool, -targets, generator), gains(rule, posterior, fair, pool, targets, generator)
    )


@pytest.mark.parametrize("rule", list(Rule))
def test_extreme_pairs_have_finite_gains(rule: Rule, posterior: Posterior, model: ChoiceModel) -> None:
    pool = torch.tensor([[1e6, -1e6, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    found = gains(rule, posterior, model, pool, pool, torch.Generator())
    assert bool(torch.isfinite(found).all())


def test_the_random_rule_follows_its_seed(posterior: Posterior, model: ChoiceModel, pool: Tensor) -> None:
    first, again, other = (
        gains(Rule.RANDOM, posterior, model, pool, pool, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nothing_allowed_is_refused(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> None:
    nothing = torch.zeros(len(pool), dtype=torch.bool)
    with pytest.raises(InvalidInput, match="0 of 12 questions are allowed"):
        choose(Rule.IOPT, posterior, model, pool, nothing, targets, generator)


def test_a_rule_added_by_name_decides(
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = torch.ones(len(pool), dtype=torch.bool)
    longest = Acquisition(lambda posterior, model, pool, targets, generator: pool.square().sum(1), "spreads²")
    monkeypatch.setitem(RULES, "longest", longest)
    chosen = choose("longest", posterior, model, pool, everything, targets, generator)
    lengths = pool.square().sum(1)
    assert chosen == Selection(int(lengths.argmax()), float(lengths.max()), "spreads²")


def test_a_rule_nobody_added_is_refused(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, generator: torch.Generator
) -> None:
    with pytest.raises(InvalidInput, match="'longest' is not one of iopt, epig"):
        gains("longest", posterior, model, pool, pool, generator)


def test_the_service_offers_every_rule() -> None:
    assert set(RULES) == set(Rule)


def test_unusable_tensors_are_named(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> None:
    spoiled = targets.clone()
    spoiled[2, 1] = torch.nan
    with pytest.raises(InvalidInput, match=r"targets\[2, 1\] = nan"):
        gains(Rule.IOPT, posterior, model, pool, spoiled, generator)
    with pytest.raises(InvalidInput, match="pool has shape"):
        gains(Rule.IOPT, posterior, model, pool[:, :3], targets, generator)
    with pytest.raises(InvalidInput, match="allowed has shape"):
        choose(Rule.IOPT, posterior, model, pool, torch.ones(3, dtype=torch.bool), targets, generator)


@pytest.mark.slow
def test_botorch_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, elicitation.acquisition; sys.exit('botorch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_best_of_a_large_pool_is_the_best_of_all(posterior: Posterior, fair: ChoiceModel) -> None:
    """Screening in single precision must not change which question is asked."""
    generator = torch.Generator().manual_seed(3)
    pool = torch.randn(4 * MANY, 4, generator=generator, dtype=torch.float64)
    targets = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    for seed in range(20):
        allowed = torch.rand(len(pool), generator=torch.Generator().manual_seed(seed)) < 0.5
        values = gains(Rule.IOPT, posterior, fair, pool, targets, generator).masked_fill(~allowed, -torch.inf)
        chosen = choose(Rule.IOPT, posterior, fair, pool, allowed, targets, generator)
        assert chosen.index == int(values.argmax())
        assert chosen.gain == pytest.approx(float(values.max()), rel=1e-12)


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("size", [12, 2 * MANY])
def test_a_pool_in_single_precision_is_chosen_from_in_double(
    rule: Rule, size: int, posterior: Posterior, fair: ChoiceModel, targets: Tensor
) -> None:
    kept = torch.randn(size, 4, generator=torch.Generator().manual_seed(3))
    allowed = torch.ones(size, dtype=torch.bool)
    single, double = (
        choose(rule, posterior, fair, pool, allowed, targets, torch.Generator().manual_seed(4))
        for pool in (kept, kept.double())
    )
    assert single == double


def test_a_bound_far_off_does_not_hide_the_best(posterior: Posterior) -> None:
    """Lapses make far pairs' bounds many times too high; many of them precede the best."""
    careless = ChoiceModel(tie=1e-6, lapse=0.3, log_consistency_std=0.0)
    generator = torch.Generator().manual_seed(5)
    away = posterior.mean / posterior.mean.norm()
    pool = 30 * away + torch.randn(2 * MANY, 4, generator=generator, dtype=torch.float64)
    pool[17] = torch.tensor([0.4, -0.3, 0.2, 0.5], dtype=torch.float64)
    targets = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    allowed = torch.ones(len(pool), dtype=torch.bool)
    values = gains(Rule.IOPT, posterior, careless, pool, targets, generator)
    chosen = choose(Rule.IOPT, posterior, careless, pool, allowed, targets, generator)
    assert chosen.index == int(values.argmax())


def test_gains_below_single_precision_are_told_apart(fair: ChoiceModel) -> None:
    generator = torch.Generator().manual_seed(7)
    pool = torch.randn(2 * MANY, 4, generator=generator, dtype=torch.float64)
    covariance = 1e-30 * torch.eye(4, dtype=torch.float64)
    posterior = Posterior((Component(1.0, torch.zeros(4, dtype=torch.float64), covariance),), 0.0)
    values = gains(Rule.IOPT, posterior, fair, pool, pool[:20], generator)
    allowed = torch.ones(len(pool), dtype=torch.bool)
    chosen = choose(Rule.IOPT, posterior, fair, pool, allowed, pool[:20], generator)
    assert 0 < chosen.gain == float(values.max())


def test_a_large_pool_with_a_hole_is_refused(posterior: Posterior, fair: ChoiceModel) -> None:
    generator = torch.Generator().manual_seed(3)
    pool = torch.randn(2 * MANY, 4, generator=generator, dtype=torch.float64)
    pool[7, 2] = torch.nan
    with pytest.raises(InvalidInput, match=r"pool\[7, 2\]"):
        choose(Rule.IOPT, posterior, fair, pool, torch.ones(len(pool), dtype=torch.bool), pool[8:20], generator)
