"""The person model: a batch is its people one by one, under the guard of the artifact."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elicitation.choice import OUTCOMES, Choice
from elicitation.errors import InvalidInput
from elicitation.posterior import Evidence, infer
from reward_bases.artifact import load_artifact
from safeguards.guard import SHORTFALL, guard
from safeguards.person import FittedPerson, PersonModel
from safeguards.score import Scale

ARTIFACT = load_artifact()
MODEL = PersonModel.of(ARTIFACT)
PHI = torch.stack(list(ARTIFACT.bank_phi.values()))


def person(answers: int, seed: int) -> Evidence:
    """Somebody who answers questions of the bank at random."""
    generator = torch.Generator().manual_seed(seed)
    left, right = torch.randint(len(PHI), (2, answers), generator=generator)
    choices = [OUTCOMES[place] for place in torch.randint(3, (answers,), generator=generator).tolist()]
    return Evidence(PHI[left] - PHI[right], tuple(choices), (None,) * answers)


def believed(fitted: FittedPerson) -> list[Tensor]:
    posterior = fitted.posterior
    return [posterior.mean, posterior.covariance, torch.tensor(posterior.log_consistency, dtype=torch.float64)]


def served(fitted: FittedPerson) -> list[Tensor]:
    alpha_and_scale = torch.tensor([fitted.guarded.guard.alpha, fitted.scale.std], dtype=torch.float64)
    return [fitted.guarded.coefficients, fitted.guarded.covariance, alpha_and_scale]


@settings(max_examples=10)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(0, 10_000))
def test_a_batch_is_its_people_one_by_one_in_any_order(counts: list[int], seed: int) -> None:
    evidence = [person(count, seed + place) for place, count in enumerate(counts)]
    order = torch.randperm(len(evidence), generator=torch.Generator().manual_seed(seed)).tolist()
    for place, among in zip(order, MODEL.fit([evidence[place] for place in order]), strict=True):
        (alone,) = MODEL.fit([evidence[place]])
        assert among.evidence is evidence[place]
        for one, other in zip(believed(among), believed(alone), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
        for one, other in zip(served(among), served(alone), strict=True):
            torch.testing.assert_close(one, other, rtol=2 * SHORTFALL, atol=2 * SHORTFALL)


def test_a_fit_is_the_posterior_under_the_guard_on_its_own_scale() -> None:
    evidence, policy = person(10, seed=3), MODEL.policy
    (fitted,) = MODEL.fit([evidence])
    posterior = infer(ARTIFACT.population, ARTIFACT.choice_model, evidence)
    settled = (policy.reference, policy.budget, policy.protected, policy.bands, policy.limit)
    expected = guard(ARTIFACT.population.mean, posterior.mean, posterior.covariance, *settled)
    assert torch.equal(fitted.posterior.mean, posterior.mean)
    assert torch.equal(fitted.guarded.coefficients, expected.coefficients)
    assert fitted.guarded.guard == expected.guard
    assert fitted.scale == Scale.of(expected.coefficients, policy.reference)
    assert not torch.equal(fitted.guarded.coefficients, ARTIFACT.population.mean)


def test_somebody_who_has_answered_nothing_is_exactly_the_aggregate() -> None:
    silent = Evidence(PHI[:1] - PHI[1:2], (Choice.SKIP,), (None,))
    for fitted in MODEL.fit([person(0, seed=0), person(5, seed=0), silent])[::2]:
        assert torch.equal(fitted.guarded.coefficients, ARTIFACT.population.mean)
        assert fitted.posterior.log_consistency == 0


def test_nobody_is_nobody() -> None:
    assert MODEL.fit([]) == []


def test_what_is_served_is_the_guarded_coefficients_with_the_persons_own_consistency() -> None:
    (fitted,) = MODEL.fit([person(10, seed=3)])
    assert torch.equal(fitted.served.mean, fitted.guarded.coefficients)
    assert torch.equal(fitted.served.covariance, fitted.guarded.covariance)
    assert fitted.served.log_consistency == fitted.posterior.log_consistency != 0


def test_a_mixture_lies_between_the_person_and_the_aggregate_on_its_own_scale() -> None:
    (fitted,) = MODEL.fit([person(10, seed=3)])
    half = MODEL.mixed(fitted, 0.5)
    assert MODEL.mixed(fitted, 0) is fitted
    middle = (fitted.guarded.coefficients + ARTIFACT.population.mean) / 2
    torch.testing.assert_close(half.guarded.coefficients, middle)
    assert half.scale == Scale.of(half.guarded.coefficients, MODEL.policy.reference)


def test_evidence_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidInput, match="differences has shape"):
        MODEL.fit([person(2, seed=0), Evidence(torch.zeros(1, 2, dtype=torch.float64), (Choice.LEFT,), (None,))])
