"""Corrected rewards of a gate that errs, against the expectations written out and a simulated policy."""

import math
import random
from operator import mul
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keel.errors import InvalidArgument
from keel.noisy_gate import backward, forward

RATES = st.tuples(st.floats(0, 0.45), st.floats(0, 0.45))
BOTH = (True, False)
TRUTH = (True, False, True, False, False, True)


def expected(accepted: float, values: list[float]) -> float:
    """E of ``values`` of BOTH verdicts, the first of which has the probability ``accepted``."""
    return accepted * values[0] + (1 - accepted) * values[1]


def update(policy: list[float], weights: list[float]) -> list[float]:
    """E[w ∇log π] over the logits of a softmax ``policy``: π_i (w_i − E w)."""
    mean = math.fsum(map(mul, policy, weights))
    return [p * (w - mean) for p, w in zip(policy, weights, strict=True)]


@given(rates=RATES)
def test_the_backward_reward_is_unbiased(rates: tuple[float, float]) -> None:
    values = backward(BOTH, *rates)
    assert expected(rates[0], values) == pytest.approx(0, abs=1e-12)
    assert expected(1 - rates[1], values) == pytest.approx(1, abs=1e-12)


@given(rates=RATES, logits=st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_the_forward_weights_keep_the_direction_of_the_policy_gradient(
    rates: tuple[float, float], logits: list[float]
) -> None:
    total = math.fsum(map(math.exp, logits))
    policy = [math.exp(logit) / total for logit in logits]
    weights = [expected(1 - rates[1] if good else rates[0], forward(BOTH, rates[1])) for good in TRUTH]
    clean = update(policy, [float(good) for good in TRUTH])
    assert max(map(abs, clean)) > 1e-4
    assert update(policy, weights) == pytest.approx([(1 - sum(rates)) * value for value in clean], abs=1e-12)


def test_a_simulated_gate_is_corrected_to_the_true_share() -> None:
    draw = random.Random(0)
    truth = [draw.random() < 0.3 for _ in range(200_000)]
    accepted = [draw.random() < (1 - 0.2 if good else 0.1) for good in truth]
    assert fmean(accepted) == pytest.approx(0.31, abs=0.005)
    assert fmean(backward(accepted, 0.1, 0.2)) == pytest.approx(fmean(truth), abs=0.01)


def test_a_gate_without_errors_is_left_as_it_is() -> None:
    assert backward(BOTH, 0.0, 0.0) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("rates", "message"), [((0.5, 0.5), "≥ 1"), ((-0.1, 0.0), "false_accept"), ((0.0, 1.0), "false_r")]
)
def test_rates_that_say_nothing_are_refused(rates: tuple[float, float], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        backward(BOTH, *rates)
