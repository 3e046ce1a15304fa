"""The closed loop: people learn, are served and move as stated, and without drift the harness leaves them alone."""

import dataclasses

import pytest
import torch
from torch import Tensor

from elicitation.choice import OUTCOMES, Choice, ChoiceModel
from elicitation.errors import InvalidInput
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, infer
from safeguards.band import Band
from safeguards.guard import Budget, Reference, guard
from safeguards.loop.belief import Belief, variance_trace
from safeguards.loop.grid import Cell, best, cells, compare, point, sane
from safeguards.loop.play import play
from safeguards.loop.serving import TOLERANCE, served_coefficients, shares
from safeguards.loop.tastes import answers, moved
from safeguards.loop.world import Crowd, World
from safeguards.metrics import best_of_draws
from safeguards.policy import GuardPolicy

MODEL = ChoiceModel(tie=0.6, side_bias=0.0, lapse=0.1, log_consistency_std=0.0)


@pytest.fixture(scope="module")
def world(aggregate: Tensor, reference: Reference, protected: Tensor) -> World:
    covariance = torch.diag(torch.tensor([0.5, 0.4, 0.6, 0.5, 0.0], dtype=torch.float64))
    population = Population((Component(1.0, aggregate, covariance),))
    limit = 3 * covariance.diagonal().sqrt()
    policy = GuardPolicy(aggregate, reference, Budget(0.1, 0.6), protected, limit)
    return World(policy, population, MODEL, truth=4, agreement=3)


@pytest.fixture(scope="module")
def crowd(world: World) -> Crowd:
    return Crowd.drawn(world, seeds=2, people=60, rounds=25, questions=10, seed=3)


@pytest.fixture(scope="module")
def banded(world: World, covariance: Tensor) -> World:
    direction = torch.tensor([1.0, 0.5, 0, 0, 0.5], dtype=torch.float64)
    counterweight = torch.tensor([False, False, False, False, True])
    band = Band.of("explicit", direction, world.population.covariance, counterweight, 0.05, active=True)
    return dataclasses.replace(world, policy=dataclasses.replace(world.policy, bands=(band,)))


class TestBelief:
    def test_it_agrees_with_the_services_own_posterior(self, world: World) -> None:
        """Ten answers, one at a time, against Laplace's method over all of them at once."""
        generator = torch.Generator().manual_seed(0)
        differences = torch.randn(10, 5, dtype=torch.float64, generator=generator)
        outcomes = torch.randint(3, (10,), generator=generator)
        belief = Belief.prior(world.population, (1,))
        for row, outcome in zip(differences, outcomes, strict=True):
            belief = belief.told(row[None], outcome[None], MODEL)
        choices = tuple(OUTCOMES[outcome] for outcome in outcomes.tolist())
        posterior = infer(world.population, MODEL, Evidence(differences, choices, (None,) * 10))
        spread = world.population.covariance.diagonal().sqrt()
        assert bool(((belief.mean[0] - posterior.mean).abs() <= 0.15 * spread).all())
        assert torch.allclose(belief.covariance[0].diagonal(), posterior.covariance.diagonal(), rtol=0.25, atol=1e-12)

    def test_one_answer_gives_the_exact_moments(self, world: World) -> None:
        """Against a sum over a fine grid of λᵀx."""
        x = torch.tensor([1.0, -0.5, 0.3, 0.2, 0.7], dtype=torch.float64)
        prior = world.population
        mean, std = float(x @ prior.mean), float((x @ prior.covariance @ x).sqrt())
        f = torch.linspace(mean - 8 * std, mean + 8 * std, 20_001, dtype=torch.float64)
        weights = torch.exp(-0.5 * ((f - mean) / std) ** 2) * MODEL.probabilities(f)[:, 0]
        weights = weights / weights.sum()
        belief = Belief.prior(prior, (1,)).told(x[None], torch.tensor([0]), MODEL)
        assert float(belief.mean[0] @ x) == pytest.approx(float(weights @ f), rel=1e-6)
        expected = float(weights @ f**2) - float(weights @ f) ** 2
        assert float(x @ belief.covariance[0] @ x) == pytest.approx(expected, rel=1e-6)

    def test_a_comparison_of_equals_teaches_nothing(self, world: World) -> None:
        prior = Belief.prior(world.population, (3,))
        told = prior.told(torch.zeros(3, 5, dtype=torch.float64), torch.tensor([0, 1, 2]), MODEL)
        assert torch.allclose(told.mean, prior.mean)
        assert torch.allclose(told.covariance, prior.covariance)


class TestServing:
    @pytest.mark.parametrize("epsilon", [0.02, 0.1, 1.0])
    def test_all_at_once_is_the_guard_one_by_one(self, epsilon: float, world: World, crowd: Crowd) -> None:
        people = torch.where(world.policy.protected, world.population.mean, crowd.tastes[0])
        budget = Budget(epsilon, 0.6)
        together = shares(world.population.mean, people, world.reference, budget)
        nothing = torch.zeros(5, 5, dtype=torch.float64)
        alone = [
            guard(world.population.mean, person, nothing, world.reference, budget, world.policy.protected).guard.alpha
            for person in people
        ]
        expected = torch.tensor(alone, dtype=torch.float64)
        assert bool((together <= expected * (1 + 1e-5)).all()), "never outside the budget"
        assert bool((together >= expected * (1 - 4 * TOLERANCE)).all())

    def test_the_served_arm_is_the_services_guard(self, banded: World, crowd: Crowd) -> None:
        served = served_coefficients("both", crowd.tastes, crowd.strangers, banded)
        nothing, policy = torch.zeros(5, 5, dtype=torch.float64), banded.policy
        for person, row in zip(crowd.tastes[0, :10], served[0, :10], strict=True):
            held = person.clamp(policy.aggregate - policy.limit, policy.aggregate + policy.limit)
            expected = guard(
                policy.aggregate, held, nothing, policy.reference, policy.budget, policy.protected, policy.bands
            )
            assert torch.allclose(row, expected.coefficients, atol=5e-3)

    def test_the_band_alone_leaves_the_divergence_free(self, banded: World, crowd: Crowd) -> None:
        served = served_coefficients("band", crowd.tastes, crowd.strangers, banded)
        lean = banded.policy.bands[0].lean(served, banded.population.mean)
        assert float(lean.abs().max()) <= 0.05 + 1e-9
        assert float(variance_trace(served).mean()) > 0.3 * float(variance_trace(crowd.tastes).mean())

    def test_best_of_draws_is_what_drawing_gives(self) -> None:
        rewards = torch.tensor([0.3, -1.0, 2.0, 0.5], dtype=torch.float64)
        exact = best_of_draws(rewards, 3)
        generator = torch.Generator().manual_seed(1)
        drawn = torch.randint(4, (40_000, 3), generator=generator)
        best_drawn = drawn.gather(1, rewards[drawn].argmax(1, keepdim=True)).squeeze(1)
        assert torch.allclose(exact, best_drawn.bincount(minlength=4).double() / 40_000, atol=0.01)
        assert float(exact.sum()) == pytest.approx(1)


class TestTastes:
    def test_assimilating_people_take_a_step_of_the_drift_towards_what_is_served(self, world: World) -> None:
        candidates = world.reference.centred[:1]
        chances = torch.zeros(1, 1, 16, dtype=torch.float64)
        chances[..., 7] = 1
        taste = torch.ones(1, 1, 5, dtype=torch.float64)
        step = moved("assimilating", taste, candidates, chances, 0.05, world.reference) - taste
        assert float(step.norm()) == pytest.approx(0.05)
        assert torch.allclose(step[0, 0] / 0.05, candidates[0, 7] / candidates[0, 7].norm())

    def test_only_backlash_moves_away_and_bounded_confidence_ignores_the_distant(self, world: World) -> None:
        candidates = world.reference.centred[:1]
        taste = -candidates[:, 3:4]
        chances = torch.nn.functional.one_hot(torch.tensor([[3]]), 16).double()
        away = moved("backlash", taste, candidates, chances, 0.1, world.reference)
        assert float((away * taste).sum()) > float((taste * taste).sum())
        assert torch.equal(moved("bounded_confidence", taste, candidates, chances, 0.1, world.reference), taste)
        assert torch.equal(moved("fixed", taste, candidates, chances, 0.1, world.reference), taste)

    def test_a_flatterer_sides_with_agreement_whatever_the_taste(self) -> None:
        differences = torch.randn(1, 50, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        told = answers("flatterer", torch.zeros_like(differences), differences, 3, MODEL, torch.Generator())
        assert torch.equal(told == OUTCOMES.index(Choice.LEFT), differences[..., 3] >= 0)
        with pytest.raises(InvalidInput, match="agreement"):
            answers("flatterer", differences, differences, None, MODEL, torch.Generator())


class TestLoop:
    def test_without_drift_nobody_moves_and_the_service_believes_in_the_variance_there_is(
        self, world: World, crowd: Crowd
    ) -> None:
        rows = compare(world, crowd, Cell("fixed", 0.0, 16))
        assert [row.growth.value for row in rows] == pytest.approx([1.0] * len(rows))
        assert all(abs(row.believed - 1) < 0.15 for row in rows), [row.believed for row in rows]

    def test_equal_serving_moves_everybody_alike(self, world: World, crowd: Crowd) -> None:
        course = play(world, crowd, "aggregate", "assimilating", 0.1, 16)
        assert torch.allclose(course.variance, course.variance[:, :1].expand_as(course.variance))
        assert not torch.allclose(course.end, course.start)

    def test_the_guard_lies_between_the_aggregate_and_no_guard(self, world: World, crowd: Crowd) -> None:
        rows = {row.arm: row for row in compare(world, crowd, Cell("assimilating", 0.05, 16))}
        for figure in ("utility", "truth"):
            ends = sorted(getattr(rows[arm], figure) for arm in ("aggregate", "unguarded"))
            assert ends[0] < getattr(rows["budget"], figure) < ends[1]
        assert 1 < rows["budget"].growth.value < rows["unguarded"].growth.value
        assert rows["random"].utility < rows["budget"].utility
        shared = rows["budget"].utility_share
        assert shared is not None
        assert shared.low <= shared.value <= shared.high

    def test_a_wider_budget_keeps_more_and_loses_more_truth(self, world: World, crowd: Crowd) -> None:
        cell = Cell("assimilating", 0.05, 16)
        tight, wide = (point(world, crowd, cell, epsilon).row for epsilon in (0.01, 1.0))
        assert tight.growth.value < wide.growth.value
        assert tight.truth_gap.value < wide.truth_gap.value
        assert tight.utility < wide.utility

    def test_equal_seeds_give_equal_loops(self, world: World, crowd: Crowd) -> None:
        cell = Cell("backlash", 0.05, 4)
        assert compare(world, crowd, cell, ["budget"]) == compare(world, crowd, cell, ["budget"])

    def test_the_grid_has_fixed_people_once_and_every_drift_of_the_others(self, world: World) -> None:
        grid = cells(world, drifts=(0.0, 0.05), draws=(16,))
        kinds = [(cell.user_model, cell.drift) for cell in grid]
        assert sorted(kinds) == [
            ("assimilating", 0.05),
            ("backlash", 0.05),
            ("bounded_confidence", 0.05),
            ("fixed", 0.0),
            ("flatterer", 0.0),
            ("flatterer", 0.05),
        ]
        without = dataclasses.replace(world, agreement=None)
        assert all(cell.user_model != "flatterer" for cell in cells(without))

    def test_a_harness_that_moves_people_by_itself_is_called_out(self, world: World, crowd: Crowd) -> None:
        rows = compare(world, crowd, Cell("fixed", 0.0, 16), ["budget"])
        assert sane([dataclasses.replace(row, believed=1.0) for row in rows])
        assert not sane([dataclasses.replace(row, believed=1.4) for row in rows])
        assert not sane([])

    def test_the_chosen_budget_is_the_widest_that_keeps_truth_and_variance(self, world: World, crowd: Crowd) -> None:
        made = point(world, crowd, Cell("assimilating", 0.05, 16), 0.1)

        def at(epsilon: float, gap: float) -> object:
            lost = dataclasses.replace(made.row.truth_gap, value=gap)
            growth = dataclasses.replace(made.row.growth, value=1.2)
            return dataclasses.replace(
                made, divergence=epsilon, row=dataclasses.replace(made.row, truth_gap=lost, growth=growth)
            )

        assert best([at(0.1, 0.05), at(0.2, 0.09), at(0.5, 0.3)]) == 0.2  # type: ignore[list-item]
        assert best([at(0.1, 0.2), at(0.2, 0.3)]) == 0.1  # type: ignore[list-item]

    def test_too_few_people_are_refused(self, world: World) -> None:
        with pytest.raises(InvalidInput, match="1, 2 and 1"):
            Crowd.drawn(world, seeds=1, people=1, rounds=5, questions=1, seed=0)
