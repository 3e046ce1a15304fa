"""Statements about a person, in sentences, each with the answers behind it.

For head k the statement is about the deviation from the aggregate, m_k − λ̄_k; its confidence is the posterior
probability that λ_k lies on that side of λ̄_k. Answer i has moved the head by about score_i·(C·v_i)_k nats, score_i the
slope of its log-likelihood in λᵀv_i at m: to first order the change when it is left out (infinitesimal jackknife).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.checks import require_shape
from elicitation.choice import ChoiceModel
from elicitation.errors import InvalidInput
from elicitation.population import Population
from elicitation.posterior import Evidence, Posterior

CONFIDENCE_MIN = 0.8
NEUTRAL = 0.1
"""Coefficients and deviations below this many nats are not worth a sentence."""
BECAUSE_MAX = 3
BECAUSE_SHARE = 0.2
"""An answer is named if it moved the head by at least this share of what the most moving answer did."""


@dataclass(frozen=True)
class Statement:
    """A sentence about the person, its posterior probability, and the ids of the questions that speak for it most."""

    text: str
    confidence: float
    because: tuple[str, ...]


def explain(
    posterior: Posterior,
    population: Population,
    phrases: Sequence[tuple[str, str]],
    protected: Sequence[bool],
    evidence: Evidence,
    question_ids: Sequence[str],
    model: ChoiceModel,
) -> tuple[Statement, ...]:
    """Statements about the heads on which the person differs from the aggregate, the surest first.

    ``phrases`` holds (low, high) per head, adjectives ("short", "detailed") or phrases that name answers themselves
    ("answers without examples"); ``question_ids`` names the rows of ``evidence``. Raises InvalidInput on wrong sizes.
    """
    for name, size, wanted in (
        ("phrases", len(phrases), posterior.k),
        ("protected", len(protected), posterior.k),
        ("question_ids", len(question_ids), len(evidence.choices)),
    ):
        if size != wanted:
            raise InvalidInput(f"{size} {name}; expected {wanted}")
    require_shape("differences", evidence.differences, (None, posterior.k))
    moved = influence(posterior, model, evidence)
    mean, aggregate = posterior.mean.tolist(), population.mean.tolist()
    statements = []
    for head in range(posterior.k):
        deviation = mean[head] - aggregate[head]
        if protected[head] or abs(deviation) < NEUTRAL:
            continue
        confidence = _confidence(posterior, head, aggregate[head], deviation)
        if confidence >= CONFIDENCE_MIN:
            text = sentence(phrases[head], mean[head], aggregate[head])
            because = _because(moved[:, head] * (1 if deviation > 0 else -1), question_ids)
            statements.append(Statement(text, confidence, because))
    return tuple(sorted(statements, key=lambda statement: -statement.confidence))


def sentence(phrases: tuple[str, str], coefficient: float, aggregate: float) -> str:
    """The person's leaning on a head with (low, high) ``phrases``, against that of most people."""
    low, high = phrases
    rises = coefficient > aggregate
    if abs(coefficient) < NEUTRAL:
        return f"You care less than most people about {_versus(low, high)}."
    liked, other = (high, low) if coefficient > 0 else (low, high)
    preference = f"You prefer {_answers(liked)} to {_ones(other)}"
    if (coefficient > 0) != rises:
        return f"{preference} less than most people do."
    if abs(aggregate) >= NEUTRAL and (aggregate > 0) == (coefficient > 0):
        return f"{preference} more than most people do."
    return f"{preference}."


def influence(posterior: Posterior, model: ChoiceModel, evidence: Evidence) -> Tensor:
    """How far each answer moved each coefficient, nats (N, K); 0 for answers that move nothing."""
    moved = torch.zeros_like(evidence.differences)
    rows = list(evidence.moving)
    if rows:
        differences = evidence.differences[rows]
        z = differences @ posterior.mean + model.side_bias
        score = model.score(z, evidence.outcomes(), posterior.consistency)
        moved[rows] = score[:, None] * (differences @ posterior.covariance)
    return moved


def _confidence(posterior: Posterior, head: int, aggregate: float, deviation: float) -> float:
    """Posterior probability that the coefficient lies beyond the aggregate on the deviation's side."""
    total = 0.0
    for component in posterior.components:
        shift = component.mean[head] - aggregate
        variance = component.covariance[head, head].clamp_min(torch.finfo(torch.float64).tiny)
        above = float(torch.special.ndtr(shift / variance.sqrt()))
        total += component.weight * (above if deviation > 0 else 1 - above)
    return min(1.0, total)


def _because(moved: Tensor, question_ids: Sequence[str]) -> tuple[str, ...]:
    """The questions whose answers pushed most in the stated direction, ``moved`` (N,) being positive that way."""
    if len(moved) == 0:
        return ()
    least = BECAUSE_SHARE * float(moved.max())
    order = moved.argsort(descending=True, stable=True)[:BECAUSE_MAX].tolist()
    return tuple(question_ids[row] for row in order if float(moved[row]) > 0 and float(moved[row]) >= least)


def _names_answers(phrase: str) -> bool:
    return "answers" in phrase.split()


def _answers(phrase: str) -> str:
    return phrase if _names_answers(phrase) else f"{phrase} answers"


def _ones(phrase: str) -> str:
    return phrase if _names_answers(phrase) else f"{phrase} ones"


def _versus(low: str, high: str) -> str:
    return f"{low} versus {_answers(high)}"
