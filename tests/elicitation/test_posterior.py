"""The posterior over coefficients, against integration on a grid and against its own symmetries."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import elicitation.laplace
from elicitation.choice import OUTCOMES, Choice, ChoiceModel, Outcomes, Strength
from elicitation.crowd import _Answers, _LogPosteriors
from elicitation.errors import InvalidInput, NotConverged
from elicitation.laplace import covariance_root
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, Posterior, crowd_of, infer

L, S, R = Choice.LEFT, Choice.SAME, Choice.RIGHT


def normal(mean: list[float], covariance: list[list[float]], weight: float = 1.0) -> Component:
    return Component(weight, torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64))


def evidence_of(
    rows: list[list[float]], choices: list[Choice], strengths: list[Strength | None] | None = None
) -> Evidence:
    return Evidence(torch.tensor(rows, dtype=torch.float64), tuple(choices), tuple(strengths or [None] * len(choices)))


PLANE = Population((normal([0.3, -0.2], [[0.6, 0.2], [0.2, 0.4]]),))
ANSWERS = evidence_of(
    [[1.0, 0.5], [-0.4, 1.2], [0.8, -0.9], [0.1, 0.6], [-1.1, 0.2]],
    [L, R, L, S, L],
    [Strength.CLEAR, None, Strength.SLIGHT, None, None],
)


def grid_moments(component: Component, model: ChoiceModel, evidence: Evidence) -> tuple[float, Tensor, Tensor]:
    """Log evidence, mean and covariance of λ at K = 2, summed over λ and log κ within 6 standard deviations."""
    axis = torch.linspace(-6, 6, 101, dtype=torch.float64)
    white = torch.cartesian_prod(axis, axis)
    coefficients = component.mean + white @ torch.linalg.cholesky(component.covariance).T
    rows = [
        (coefficients @ difference + model.side_bias, Outcomes.of([choice] * len(white), [strength] * len(white)))
        for difference, choice, strength in zip(evidence.differences, evidence.choices, evidence.strengths, strict=True)
    ]
    likelihood = torch.zeros(len(white), dtype=torch.float64)
    nodes = torch.linspace(-4, 4, 17, dtype=torch.float64)
    for b, share in zip(nodes.tolist(), (-nodes.square() / 2).softmax(0).tolist(), strict=True):
        kappa = math.exp(model.log_consistency_std * b)
        likelihood += (
            share * torch.stack([model.log_likelihood(z, outcomes, kappa) for z, outcomes in rows]).sum(0).exp()
        )
    belief = (-white.square().sum(1) / 2).softmax(0) * likelihood
    weights = belief / belief.sum()
    mean = weights @ coefficients
    centred = coefficients - mean
    return float(belief.sum().log()), mean, centred.T @ (weights[:, None] * centred)


@pytest.mark.parametrize("log_consistency_std", [0.0, 0.3])
@pytest.mark.parametrize("lapse", [0.0, 0.05])
def test_the_posterior_agrees_with_integration_on_a_grid(lapse: float, log_consistency_std: float) -> None:
    model = ChoiceModel(0.4, 0.1, lapse, 1.2, log_consistency_std)
    _, mean, covariance = grid_moments(PLANE.components[0], model, ANSWERS)
    posterior = infer(PLANE, model, ANSWERS)
    std = covariance.diagonal().sqrt()
    assert float(((posterior.mean - mean) / std).abs().max()) < 0.15
    torch.testing.assert_close(posterior.covariance.diagonal().sqrt(), std, rtol=0.1, atol=0)
    torch.testing.assert_close(
        posterior.covariance / covariance.norm(), covariance / covariance.norm(), rtol=0, atol=0.15
    )


@pytest.mark.slow
def test_many_answers_bring_the_posterior_to_the_grid_within_two_percent(
    draw_evidence: Callable[..., Evidence], fair: ChoiceModel
) -> None:
    """Laplace's error falls with the number of answers."""
    model = replace(fair, log_consistency_std=0.0)
    evidence = draw_evidence(300, 2, torch.tensor([0.8, -0.5], dtype=torch.float64), model)
    _, mean, covariance = grid_moments(PLANE.components[0], model, evidence)
    posterior = infer(PLANE, model, evidence)
    std = covariance.diagonal().sqrt()
    assert float(((posterior.mean - mean) / std).abs().max()) < 0.1
    torch.testing.assert_close(posterior.covariance.diagonal().sqrt(), std, rtol=0.02, atol=0)


def test_component_weights_agree_with_the_evidence_on_a_grid(model: ChoiceModel) -> None:
    kinds = (
        normal([1.0, 0.0], [[0.3, 0.0], [0.0, 0.3]], 0.4),
        normal([-1.0, 0.5], [[0.3, 0.1], [0.1, 0.3]], 0.6),
    )
    logs = [math.log(kind.weight) + grid_moments(kind, model, ANSWERS)[0] for kind in kinds]
    expected = torch.tensor(logs, dtype=torch.float64).softmax(0)
    posterior = infer(Population(kinds), model, ANSWERS)
    found = torch.tensor([component.weight for component in posterior.components], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)
    assert float((expected - torch.tensor([0.4, 0.6])).abs().max()) > 0.1


def test_the_mixture_posterior_has_the_moments_of_its_components(model: ChoiceModel) -> None:
    kinds = (normal([1.0, 0.0], [[0.3, 0.0], [0.0, 0.3]], 0.5), normal([-1.0, 0.5], [[0.3, 0.1], [0.1, 0.3]], 0.5))
    posterior = infer(Population(kinds), model, ANSWERS)
    for component, kind in zip(posterior.components, kinds, strict=True):
        alone = infer(Population((replace(kind, weight=1.0),)), model, ANSWERS)
        torch.testing.assert_close(component.mean, alone.mean)
        torch.testing.assert_close(component.covariance, alone.covariance)
    blend = sum((c.weight * c.mean for c in posterior.components), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(posterior.mean, blend)


KAPPAS = torch.tensor([[0.6], [1.4]], dtype=torch.float64)


def log_posteriors(model: ChoiceModel) -> _LogPosteriors:
    """Of two people, the second with fewer answers, at two values of κ."""
    component = PLANE.components[0]
    fewer = Evidence(ANSWERS.differences[:2], ANSWERS.choices[:2], ANSWERS.strengths[:2])
    answers = _Answers(component, covariance_root(component.covariance), crowd_of([ANSWERS, fewer]))
    return _LogPosteriors(answers, model, KAPPAS)


def test_gradient_and_observed_curvature_are_those_of_the_log_posterior(model: ChoiceModel) -> None:
    f = log_posteriors(model)
    a, step = torch.tensor([[[0.4, -0.7], [1.2, 0.1]], [[-0.3, 0.9], [0.0, 0.5]]], dtype=torch.float64), 1e-5
    here = f.at(a)
    for axis, nudge in enumerate(step * torch.eye(2, dtype=torch.float64)):
        above, below = f.at(a + nudge), f.at(a - nudge)
        slope = (above.value - below.value) / (2 * step)
        torch.testing.assert_close(slope, here.gradient[..., axis], rtol=1e-6, atol=1e-8)
        bend = (below.gradient - above.gradient) / (2 * step)
        torch.testing.assert_close(here.observed_curvature[..., axis, :], bend, rtol=1e-6, atol=1e-8)


def test_without_lapses_the_expected_curvature_is_the_observed_one(model: ChoiceModel) -> None:
    here = log_posteriors(replace(model, lapse=0.0)).at(torch.ones(2, 2, 2, dtype=torch.float64))
    torch.testing.assert_close(here.expected_curvature, here.observed_curvature)


def test_modes_are_stationary_and_higher_than_their_neighbourhood(
    model: ChoiceModel, generator: torch.Generator
) -> None:
    f = log_posteriors(model)
    mode = f.at(f.mode(torch.zeros(2, 2, 2, dtype=torch.float64), 1e-10))
    assert float(mode.gradient.abs().max()) < 1e-8
    for _ in range(50):
        nearby = f.at(mode.a + 0.1 * torch.randn(2, 2, 2, generator=generator, dtype=torch.float64))
        assert bool((nearby.value < mode.value).all())


def test_without_answers_the_posterior_is_exactly_the_population(
    draw_population: Callable[..., Population], model: ChoiceModel
) -> None:
    population = draw_population(5, components=2)
    posterior = infer(population, model, Evidence(torch.zeros(0, 5, dtype=torch.float64), (), ()))
    assert posterior.components == population.components
    assert posterior.log_consistency == 0
    assert torch.equal(posterior.mean, population.mean)


def test_skip_and_both_poor_never_move_a_coefficient(model: ChoiceModel) -> None:
    silent = evidence_of([[5.0, 1.0], [-3.0, 2.0]], [Choice.SKIP, Choice.BOTH_POOR])
    assert infer(PLANE, model, silent).components == PLANE.components
    mixed = Evidence(
        torch.cat([silent.differences, ANSWERS.differences]),
        silent.choices + ANSWERS.choices,
        silent.strengths + ANSWERS.strengths,
    )
    assert torch.equal(infer(PLANE, model, mixed).mean, infer(PLANE, model, ANSWERS).mean)


def test_a_protected_head_stays_at_the_population_mean_exactly(
    draw_population: Callable[..., Population], draw_evidence: Callable[..., Evidence], model: ChoiceModel
) -> None:
    free = draw_population(3, components=2)
    protected = Population(
        tuple(
            Component(
                c.weight, torch.cat([c.mean, torch.tensor([0.7])]), torch.block_diag(c.covariance, torch.zeros(1, 1))
            )
            for c in free.components
        )
    )
    posterior = infer(protected, model, draw_evidence(12, 4, torch.ones(4, dtype=torch.float64), model))
    assert torch.equal(posterior.mean[3], protected.mean[3])
    assert not posterior.covariance[3].any()
    assert float((posterior.mean - protected.mean)[:3].abs().min()) > 0


def test_when_every_head_is_protected_nothing_moves(model: ChoiceModel) -> None:
    fixed = Population((normal([0.3, -0.2], [[0.0, 0.0], [0.0, 0.0]]),))
    posterior = infer(fixed, model, ANSWERS)
    assert torch.equal(posterior.mean, fixed.mean)
    assert not posterior.covariance.any()


def test_a_population_of_low_rank_moves_only_within_its_span(model: ChoiceModel) -> None:
    line = Population((normal([0.0, 0.0], [[1.0, 2.0], [2.0, 4.0]]),))
    mean = infer(line, model, ANSWERS).mean
    assert float(mean[1]) == pytest.approx(2 * float(mean[0]))
    assert abs(float(mean[0])) > 0.05


@pytest.mark.slow
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 15))
def test_swapping_the_sides_changes_nothing_without_side_bias(seed: int, n: int) -> None:
    evidence, population, model = random_case(seed, n)
    other_side = {L: R, S: S, R: L}
    swapped = Evidence(-evidence.differences, tuple(other_side[c] for c in evidence.choices), evidence.strengths)
    torch.testing.assert_close(infer(population, model, swapped).mean, infer(population, model, evidence).mean)


@pytest.mark.slow
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 15))
def test_reversing_all_answers_negates_the_deviation_from_a_neutral_population(seed: int, n: int) -> None:
    evidence, population, model = random_case(seed, n)
    reverse = {L: R, S: S, R: L}
    reversed_ = Evidence(evidence.differences, tuple(reverse[c] for c in evidence.choices), evidence.strengths)
    torch.testing.assert_close(infer(population, model, reversed_).mean, -infer(population, model, evidence).mean)


@pytest.mark.parametrize("aggregate", [-0.8, 0.0, 0.8])
def test_reversing_all_answers_flips_the_sign_of_the_deviation(aggregate: float) -> None:
    population = Population((normal([aggregate, 0.0], [[1.0, 0.0], [0.0, 1.0]]),))
    rows = [[1.0, 0.2], [1.5, -0.3], [0.7, 0.0]]
    liked = infer(population, ChoiceModel(), evidence_of(rows, [L, L, L])).mean[0] - aggregate
    disliked = infer(population, ChoiceModel(), evidence_of(rows, [R, R, R])).mean[0] - aggregate
    assert float(liked) > 0 > float(disliked)


@pytest.mark.slow
@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 20))
def test_a_warm_start_and_the_full_refit_agree(seed: int, n: int) -> None:
    evidence, population, model = random_case(seed, n)
    earlier = Evidence(evidence.differences[:-1], evidence.choices[:-1], evidence.strengths[:-1])
    full = infer(population, model, evidence)
    warm = infer(population, model, evidence, start=infer(population, model, earlier))
    torch.testing.assert_close(warm.mean, full.mean, rtol=0, atol=1e-8)
    torch.testing.assert_close(warm.covariance, full.covariance, rtol=0, atol=1e-8)
    assert warm.log_consistency == pytest.approx(full.log_consistency, abs=1e-8)


def test_a_warm_start_at_an_answer_taken_for_a_lapse_gives_the_full_refit() -> None:
    """The earlier mode explains the last answer as a lapse; from the prior mean it is explained by taste."""
    population = Population((normal([0.0], [[4.0]]),))
    model = ChoiceModel(tie=0.01, lapse=0.2, log_consistency_std=0.0)
    evidence = evidence_of([[6.0]], [L])
    wrong = Posterior((normal([-5.0], [[0.1]]),), 0.0)
    full = infer(population, model, evidence)
    assert float(full.mean) > 0
    torch.testing.assert_close(infer(population, model, evidence, start=wrong).mean, full.mean, rtol=0, atol=1e-8)


def test_a_clear_preference_moves_more_than_a_slight_one() -> None:
    deviations = [
        float(infer(PLANE, ChoiceModel(), evidence_of([[1.0, 0.0]], [L], [strength])).mean[0])
        for strength in (Strength.SLIGHT, None, Strength.CLEAR)
    ]
    assert deviations == sorted(deviations)
    assert deviations[0] < deviations[1] - 0.05 < deviations[2] - 0.1


def test_contradictory_answers_lower_the_consistency() -> None:
    rows = [[1.5, 0.0]] * 8
    torn = infer(PLANE, ChoiceModel(), evidence_of(rows, [L, R] * 4))
    steady = infer(PLANE, ChoiceModel(), evidence_of(rows, [L] * 8))
    assert torn.log_consistency < 0 < steady.log_consistency
    assert torn.consistency == pytest.approx(math.exp(torn.log_consistency))


def test_duplicated_answers_sharpen_the_posterior_without_blowing_it_up() -> None:
    model = ChoiceModel(log_consistency_std=0.0)
    once = infer(PLANE, model, evidence_of([[1.0, 0.0]], [L]))
    often = infer(PLANE, model, evidence_of([[1.0, 0.0]] * 500, [L] * 500))
    assert float(often.mean[0]) > float(once.mean[0])
    assert float(often.covariance[0, 0]) < float(once.covariance[0, 0])
    assert float(often.mean.abs().max()) < 10


def test_answering_always_the_same_pulls_the_utilities_together() -> None:
    rows = [[1.0, 0.5], [-0.4, 1.2], [0.8, -0.9], [2.0, 1.0]]
    model = ChoiceModel(side_bias=0.0)
    posterior = infer(PLANE, model, evidence_of(rows * 5, [S] * 20))
    differences = torch.tensor(rows, dtype=torch.float64)
    assert float((differences @ posterior.mean).norm()) < 0.6 * float((differences @ PLANE.mean).norm())


@pytest.mark.parametrize("size", [1e4, 1e6])
@pytest.mark.parametrize("lapse", [0.0, 0.05])
@pytest.mark.parametrize("choice", [L, S, R])
def test_extreme_differences_still_converge_to_a_finite_posterior(size: float, lapse: float, choice: Choice) -> None:
    posterior = infer(PLANE, ChoiceModel(lapse=lapse), evidence_of([[size, -size], [1.0, 0.0]], [choice, L]))
    assert bool(torch.isfinite(posterior.mean).all())
    assert float(torch.linalg.eigvalsh(posterior.covariance)[0]) > -1e-12
    assert float(posterior.mean.abs().max()) < 5


def test_thirty_two_heads_are_inferred(
    draw_evidence: Callable[..., Evidence], model: ChoiceModel, generator: torch.Generator
) -> None:
    population = Population((Component(1.0, torch.zeros(32, dtype=torch.float64), torch.eye(32, dtype=torch.float64)),))
    truth = torch.randn(32, generator=generator, dtype=torch.float64)
    posterior = infer(population, model, draw_evidence(400, 32, truth, model))
    assert float((posterior.mean - truth).norm()) < 0.5 * float(truth.norm())


@pytest.mark.slow
def test_the_posterior_is_as_sure_as_it_may_be(
    draw_evidence: Callable[..., Evidence], model: ChoiceModel, generator: torch.Generator
) -> None:
    """Over people drawn from the population, the squared distance to the truth in posterior units averages K."""
    k, distances = 8, []
    population = Population((Component(1.0, torch.zeros(k, dtype=torch.float64), torch.eye(k, dtype=torch.float64)),))
    for _ in range(100):
        truth = torch.randn(k, generator=generator, dtype=torch.float64)
        posterior = infer(population, model, draw_evidence(25, k, truth, model))
        error = truth - posterior.mean
        distances.append(float(error @ torch.linalg.solve(posterior.covariance, error)))
    assert sum(distances) / len(distances) == pytest.approx(k, rel=0.25)


def test_a_difference_that_is_not_finite_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"differences\[1, 0\] = nan"):
        evidence_of([[1.0, 2.0], [math.nan, 0.0]], [L, R])
    with pytest.raises(InvalidInput, match=r"differences\[0, 1\] = -inf"):
        evidence_of([[1.0, -math.inf]], [L])


def test_sizes_that_disagree_are_refused() -> None:
    with pytest.raises(InvalidInput, match="differences has shape"):
        evidence_of([[1.0, 2.0]], [L, R])
    with pytest.raises(InvalidInput, match="0 strengths for 1 choices"):
        Evidence(torch.zeros(1, 2, dtype=torch.float64), (L,), ())
    with pytest.raises(InvalidInput, match="expected any x 2"):
        infer(PLANE, ChoiceModel(), evidence_of([[1.0]], [L]))
    with pytest.raises(InvalidInput, match="of another population"):
        infer(PLANE, ChoiceModel(), ANSWERS, start=Posterior((normal([0.0], [[1.0]]),), 0.0))


def test_running_out_of_iterations_is_an_error_not_a_half_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elicitation.laplace, "MAX_ITERATIONS", 2)
    with pytest.raises(NotConverged, match="after 2 iterations"):
        infer(PLANE, ChoiceModel(), ANSWERS)


def random_case(seed: int, n: int) -> tuple[Evidence, Population, ChoiceModel]:
    """Answers of a random person with three heads out of a neutral population, judged without side bias."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    population = Population((Component(1.0, torch.zeros(3, dtype=torch.float64), root @ root.T),))
    model = ChoiceModel(side_bias=0.0)
    differences = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    taste = root @ torch.randn(3, generator=generator, dtype=torch.float64)
    columns = torch.multinomial(model.probabilities(differences @ taste), 1, generator=generator).squeeze(-1)
    choices = tuple(OUTCOMES[column] for column in columns.tolist())
    strengths = tuple(None if choice is S else Strength.CLEAR for choice in choices)
    return Evidence(differences, choices, strengths), population, model
