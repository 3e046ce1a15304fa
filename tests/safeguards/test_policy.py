"""The guard policy of the shipped artifact, and of one that was never tuned."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reward_bases.artifact import load_artifact
from safeguards.guard import Budget
from safeguards.policy import COUNTERWEIGHT, GuardPolicy, stratum_entry
from safeguards.stance import Stance

ARTIFACT = load_artifact()
NAMES = ARTIFACT.basis.names
POLICY = GuardPolicy.of(ARTIFACT)
DIRECTIONS = st.lists(st.floats(-1, 1), min_size=len(NAMES), max_size=len(NAMES))


def test_the_explicit_band_is_active_and_the_implicit_one_is_not() -> None:
    assert {band.stratum: band.active for band in POLICY.bands} == {"explicit": True, "implicit": False}


def test_an_artifact_that_was_never_tuned_has_every_band_inactive() -> None:
    assert POLICY.banded
    assert not GuardPolicy.of(replace(ARTIFACT, agreement={})).banded


def test_warmth_is_held_back_as_far_as_it_leans_to_agreement_and_agreement_itself_is_lowered() -> None:
    mean = ARTIFACT.population.mean.clone()
    mean[NAMES.index("warmth")] += 1
    covariance = ARTIFACT.population.covariance
    loose = Budget(divergence=1e6, starc=1.0)
    served = replace(POLICY, budget=loose).guarded(mean, covariance)
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
    aggregate, covariance = POLICY.aggregate, ARTIFACT.population.covariance
    mean = aggregate + 10**exponent * torch.tensor(direction, dtype=torch.float64)
    once = POLICY.guarded(mean, covariance).coefficients
    torch.testing.assert_close(POLICY.guarded(once, covariance).coefficients, once, rtol=1e-12, atol=1e-12)
    assert bool(((once - aggregate).abs() <= POLICY.limit * (1 + 1e-12)).all())


def test_heads_in_which_nobody_differs_are_fixed_like_protected_ones() -> None:
    covariance = ARTIFACT.population.covariance
    expected = torch.tensor(ARTIFACT.basis.protected) | (covariance.diagonal() == 0)
    assert torch.equal(POLICY.protected, expected)


def test_a_stratum_described_for_the_guard_file_comes_back_as_its_band() -> None:
    direction = torch.linspace(-1, 1, len(NAMES), dtype=torch.float64)
    stance = Stance(direction, norm=2.0, null=1.0, auc=0.8, auc_low=0.7, auc_high=0.9, questions=60)
    entry = stratum_entry(stance, limit=0.2)
    assert list(entry) == list(ARTIFACT.agreement["explicit"])
    band = GuardPolicy.of(replace(ARTIFACT, agreement={"implicit": json.loads(json.dumps(entry))})).bands[1]
    assert (band.stratum, band.active, band.limit) == ("implicit", True, 0.2)
    free = band.counterweight | (ARTIFACT.population.covariance.diagonal() > 0)
    assert torch.equal(band.direction, torch.where(free, direction, 0.0))
