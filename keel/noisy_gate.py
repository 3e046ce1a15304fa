"""Rewards from a gate that errs: a verdict R̃ ∈ {0, 1} in place of the truth R.

With ρ₀ = P(R̃ = 1 | R = 0), bad responses accepted, and ρ₁ = P(R̃ = 0 | R = 1), good ones rejected, ρ₀ + ρ₁ < 1,

    E[R̃ | R] = ρ₀ + (1 − ρ₀ − ρ₁)·R.

* backward: R̂ = (R̃ − ρ₀)/(1 − ρ₀ − ρ₁) has E[R̂ | R] = R: an unbiased reward, whose variance grows with the errors.
* forward: weights w = ρ₁ on accepted and ρ₁ − 1 on rejected responses for the policy's score ∇log π. As E[w | R = 1]
  is 0 and E[w | R = 0] is −(1 − ρ₀ − ρ₁), and as E ∇log π = 0, the expected update is (1 − ρ₀ − ρ₁)·E[R ∇log π]: the
  direction of the clean gradient, from ρ₁ alone.

The same form takes the bias out of flipped answers, with ρ₀ = ρ₁ = the flip rate. Rates of Keel's gate: docs/gate.md.

Source: Natarajan et al. (2013) for the backward form; Cai et al. (2025) for verifiers; both derived above.
"""

from collections.abc import Sequence

from keel.errors import InvalidArgument

FALSE_ACCEPT, FALSE_REJECT = 0.164, 0.0034
"""Of Keel's gate (``python -m bench.studies.gate``): mean over kinds of junk, upper end for the bank's answers."""


def backward(accepted: Sequence[bool], false_accept: float, false_reject: float) -> list[float]:
    """Unbiased rewards R̂ of verdicts ``accepted``, with ρ₀ and ρ₁; raises InvalidArgument unless ρ₀ + ρ₁ < 1."""
    _require_rate("false_accept", false_accept)
    _require_rate("false_reject", false_reject)
    signal = 1 - false_accept - false_reject
    if signal <= 0:
        raise InvalidArgument(
            f"false_accept {false_accept} + false_reject {false_reject} ≥ 1; such a gate says nothing, measure it again"
        )
    return [(verdict - false_accept) / signal for verdict in accepted]


def forward(accepted: Sequence[bool], false_reject: float) -> list[float]:
    """Weights w of the policy's score for verdicts ``accepted``; raises InvalidArgument unless 0 ≤ ρ₁ < 1."""
    _require_rate("false_reject", false_reject)
    return [verdict + (false_reject - 1) for verdict in accepted]


def _require_rate(name: str, rate: float) -> None:
    if not 0 <= rate < 1:
        raise InvalidArgument(f"{name} = {rate} is no error rate; it must lie in [0, 1)")
