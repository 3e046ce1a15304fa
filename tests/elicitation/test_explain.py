"""Sentences about a person, and the answers behind them."""

import math

import pytest
import torch
from torch import Tensor

from elicitation.choice import Choice, ChoiceModel, Strength
from elicitation.errors import InvalidInput
from elicitation.explain import BECAUSE_MAX, explain, influence, sentence
from elicitation.population import Component, Population
from elicitation.posterior import Evidence, Posterior, infer

MODEL = ChoiceModel(log_consistency_std=0.0)
PHRASES = [("short", "detailed"), ("plain", "warm"), ("answers without examples", "answers with examples")]
FREE = [False, False, False]
L, R = Choice.LEFT, Choice.RIGHT


def population_of(mean: list[float], variances: list[float]) -> Population:
    covariance = torch.diag(torch.tensor(variances, dtype=torch.float64))
    return Population((Component(1.0, torch.tensor(mean, dtype=torch.float64), covariance),))


NEUTRAL = population_of([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])


def answers(rows: list[list[float]], choices: list[Choice]) -> Evidence:
    return Evidence(torch.tensor(rows, dtype=torch.float64), tuple(choices), (None,) * len(choices))


def names(evidence: Evidence) -> list[str]:
    return [f"q{row}" for row in range(len(evidence.choices))]


@pytest.mark.parametrize(
    ("coefficient", "aggregate", "text"),
    [
        (0.8, 0.0, "You prefer detailed answers to short ones."),
        (-0.8, 0.0, "You prefer short answers to detailed ones."),
        (0.8, -0.5, "You prefer detailed answers to short ones."),
        (0.8, 0.05, "You prefer detailed answers to short ones."),
        (1.5, 0.5, "You prefer detailed answers to short ones more than most people do."),
        (-1.5, -0.5, "You prefer short answers to detailed ones more than most people do."),
        (0.4, 1.5, "You prefer detailed answers to short ones less than most people do."),
        (-0.4, -1.5, "You prefer short answers to detailed ones less than most people do."),
        (0.02, 1.0, "You care less than most people about short versus detailed answers."),
    ],
)
def test_the_sentence_states_the_direction_against_the_aggregate(
    coefficient: float, aggregate: float, text: str
) -> None:
    assert sentence(("short", "detailed"), coefficient, aggregate) == text


def test_phrases_that_name_answers_stand_alone() -> None:
    phrases = ("answers without examples", "answers with examples")
    assert sentence(phrases, 1.0, 0.0) == "You prefer answers with examples to answers without examples."


def test_a_clear_taste_becomes_a_statement_with_its_answers() -> None:
    evidence = answers([[2.0, 0.0, 0.0], [1.5, 0.1, 0.0], [0.0, 0.1, 0.0], [1.8, 0.0, 0.0]], [L, L, R, L])
    posterior = infer(NEUTRAL, MODEL, evidence)
    (statement,) = explain(posterior, NEUTRAL, PHRASES, FREE, evidence, names(evidence), MODEL)
    assert statement.text == "You prefer detailed answers to short ones."
    assert 0.9 < statement.confidence <= 1
    assert set(statement.because) == {"q0", "q1", "q3"}


def test_without_answers_nothing_is_said() -> None:
    evidence = Evidence(torch.zeros(0, 3, dtype=torch.float64), (), ())
    assert explain(infer(NEUTRAL, MODEL, evidence), NEUTRAL, PHRASES, FREE, evidence, [], MODEL) == ()


def test_near_the_aggregate_nothing_is_said() -> None:
    """Two answers that cancel leave the person where most people are."""
    evidence = answers([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [L, R])
    posterior = infer(NEUTRAL, MODEL, evidence)
    assert explain(posterior, NEUTRAL, PHRASES, FREE, evidence, names(evidence), MODEL) == ()


def test_a_sure_but_tiny_deviation_is_not_worth_a_sentence() -> None:
    tiny = Posterior((Component(1.0, torch.full((3,), 0.05).double(), 1e-6 * torch.eye(3).double()),), 0.0)
    evidence = answers([[1.0, 0.0, 0.0]], [L])
    assert explain(tiny, NEUTRAL, PHRASES, FREE, evidence, ["q0"], MODEL) == ()


def test_a_protected_head_is_never_spoken_of() -> None:
    evidence = answers([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]] * 4, [L] * 8)
    posterior = infer(NEUTRAL, MODEL, evidence)
    spoken = explain(posterior, NEUTRAL, PHRASES, [True, False, False], evidence, names(evidence), MODEL)
    assert [statement.text for statement in spoken] == ["You prefer warm answers to plain ones."]


def test_statements_come_in_the_order_of_their_confidence() -> None:
    evidence = answers([[0.0, 2.0, 0.0]] * 5 + [[2.0, 0.0, 0.0]] * 2 + [[0.0, 0.0, 1.5]], [L] * 8)
    posterior = infer(NEUTRAL, MODEL, evidence)
    confidences = [s.confidence for s in explain(posterior, NEUTRAL, PHRASES, FREE, evidence, names(evidence), MODEL)]
    assert len(confidences) >= 2
    assert confidences == sorted(confidences, reverse=True)


def test_the_confidence_is_the_posterior_probability_of_the_direction() -> None:
    """Two kinds of people: 0.7 of them at +1 ± 0.5, 0.3 at −1 ± 0.5, against an aggregate of 0."""
    kinds = [(0.7, 1.0), (0.3, -1.0)]
    parts = tuple(
        Component(w, torch.tensor([m, 0.0, 0.0], dtype=torch.float64), torch.diag(torch.tensor([0.25, 0, 0]).double()))
        for w, m in kinds
    )
    evidence = answers([[1.0, 0.0, 0.0]], [L])
    sure = 0.5 * (1 + math.erf(2 / math.sqrt(2)))
    mixed = explain(Posterior(parts, 0.0), NEUTRAL, PHRASES, FREE, evidence, ["q0"], MODEL)
    assert mixed == ()
    (statement,) = explain(
        Posterior((Component(1.0, parts[0].mean, parts[0].covariance),), 0.0),
        NEUTRAL,
        PHRASES,
        FREE,
        evidence,
        ["q0"],
        MODEL,
    )
    assert statement.confidence == pytest.approx(sure, abs=1e-12)


def test_an_answer_against_the_statement_is_not_its_reason() -> None:
    evidence = answers([[2.0, 0.0, 0.0]] * 6 + [[2.0, 0.0, 0.0]], [L] * 6 + [R])
    posterior = infer(NEUTRAL, MODEL, evidence)
    (statement,) = explain(posterior, NEUTRAL, PHRASES, FREE, evidence, names(evidence), MODEL)
    assert "q6" not in statement.because
    assert len(statement.because) == BECAUSE_MAX


def test_influence_is_close_to_leaving_the_answer_out(generator: torch.Generator) -> None:
    evidence = random_answers(generator, 30)
    posterior = infer(NEUTRAL, MODEL, evidence)
    left_out = torch.stack([posterior.mean - infer(NEUTRAL, MODEL, without(evidence, row)).mean for row in range(30)])
    found = influence(posterior, MODEL, evidence)
    torch.testing.assert_close(found, left_out, rtol=0.4, atol=0.02)
    assert float(torch.corrcoef(torch.stack([found.flatten(), left_out.flatten()]))[0, 1]) > 0.98


def test_a_skipped_question_has_no_influence() -> None:
    evidence = answers([[1.0, 0.0, 0.0], [5.0, 5.0, 5.0]], [L, Choice.SKIP])
    moved = influence(infer(NEUTRAL, MODEL, evidence), MODEL, evidence)
    assert float(moved[0, 0]) > 0
    assert not moved[1].any()


@pytest.mark.parametrize("wrong", ["phrases", "protected", "question_ids"])
def test_sizes_that_disagree_are_named(wrong: str) -> None:
    evidence = answers([[1.0, 0.0, 0.0]], [L])
    given = {"phrases": PHRASES, "protected": FREE, "question_ids": ["q0"]} | {wrong: []}
    with pytest.raises(InvalidInput, match=f"0 {wrong}"):
        explain(infer(NEUTRAL, MODEL, evidence), NEUTRAL, evidence=evidence, model=MODEL, **given)


def random_answers(generator: torch.Generator, n: int) -> Evidence:
    differences: Tensor = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    p = MODEL.probabilities(differences @ torch.tensor([1.0, -0.5, 0.0], dtype=torch.float64))
    lefts = (torch.rand(n, generator=generator, dtype=torch.float64) < p[:, 0] + p[:, 1] / 2).tolist()
    strengths = tuple(Strength.CLEAR if row % 3 == 0 else None for row in range(n))
    return Evidence(differences, tuple(L if left else R for left in lefts), strengths)


def without(evidence: Evidence, row: int) -> Evidence:
    kept = [other for other in range(len(evidence.choices)) if other != row]
    return Evidence(
        evidence.differences[kept],
        tuple(evidence.choices[other] for other in kept),
        tuple(evidence.strengths[other] for other in kept),
    )
