"""The shipped artifact's agreement bands, and what becomes of one that was never tuned."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.profiles.agreement import COUNTERWEIGHT, bands_of
from app.profiles.profiles import fixed_heads, limits_of
from reward_bases.artifact import load_artifact
from safeguards.guard import Budget, Reference, guard

ARTIFACT = load_artifact()
NAMES = ARTIFACT.basis.names
REFERENCE = Reference.of(ARTIFACT.reference)
DIRECTIONS = st.lists(st.floats(-1, 1), min_size=len(NAMES), max_size=len(NAMES))


def test_the_explicit_band_is_active_and_the_implicit_one_is_not() -> None:
    assert {band.stratum: band.active for band in bands_of(ARTIFACT)} == {"explicit": True, "implicit": False}


def test_an_artifact_that_was_never_tuned_has_every_band_inactive() -> None:
    assert not any(band.active for band in bands_of(replace(ARTIFACT, agreement={})))


def test_warmth_is_held_back_as_far_as_it_leans_to_agreement_and_agreement_itself_is_lowered() -> None:
    mean = ARTIFACT.population.mean.clone()
    mean[NAMES.index("warmth")] += 1
    covariance = ARTIFACT.population.covariance
    loose = Budget(divergence=1e6, starc=1.0)
    served = guard(
        ARTIFACT.population.mean, mean, covariance, REFERENCE, loose, fixed_heads(ARTIFACT), bands_of(ARTIFACT)
    )
    report = served.guard.band["explicit"]
    assert report.binds
    assert report.limit is not None
    assert report.before is not None
    assert report.after is not None
    assert abs(report.after) <= report.limit < report.before
    assert float(served.coefficients[NAMES.index(COUNTERWEIGHT)]) < 0
    assert float(served.coefficients[NAMES.index("warmth")]) > 0.5


@pytest.mark.slow
@given(direction=DIRECTIONS, exponent=st.floats(-2, 3))
def test_guarding_what_is_served_changes_nothing_and_no_head_leaves_its_limit(
    direction: list[float], exponent: float
) -> None:
    aggregate, limit = ARTIFACT.population.mean, limits_of(ARTIFACT)
    settled = (fixed_heads(ARTIFACT), bands_of(ARTIFACT), limit)
    parts = (ARTIFACT.population.covariance, REFERENCE, Budget(**ARTIFACT.budget), *settled)
    mean = aggregate + 10**exponent * torch.tensor(direction, dtype=torch.float64)
    once = guard(aggregate, mean, *parts).coefficients
    torch.testing.assert_close(guard(aggregate, once, *parts).coefficients, once, rtol=1e-12, atol=1e-12)
    assert bool(((once - aggregate).abs() <= limit * (1 + 1e-12)).all())


def test_heads_in_which_nobody_differs_are_fixed_like_protected_ones() -> None:
    covariance = ARTIFACT.population.covariance
    expected = torch.tensor(ARTIFACT.basis.protected) | (covariance.diagonal() == 0)
    assert torch.equal(fixed_heads(ARTIFACT), expected)
