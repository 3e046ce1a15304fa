"""PReF by its published rule."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from fitted_peers import first_answers, fit_on_four_splits
from torch import Tensor

from bench.compare.method import Method
from bench.compare.peers.answers import Answers
from bench.compare.peers.pref import PrefBelief, PrefMethod, factorise, table, uncertainty
from bench.compare.world import World

pytestmark = pytest.mark.slow


def test_prefs_first_question_is_random(
    diverse: World, generator: torch.Generator, fitted_to: Callable[[str, World], Method]
) -> None:
    belief = fitted_to("pref", diverse).believe(first_answers(diverse, 0))
    pool = diverse.differences(diverse.people[0].pool)
    allowed = torch.ones(len(pool), dtype=torch.bool)
    assert len({belief.choose(0, pool, allowed, generator) for _ in range(30)}) > 5


def test_prefs_next_question_is_the_published_formulas_maximum(
    diverse: World, generator: torch.Generator, fitted_to: Callable[[str, World], Method]
) -> None:
    belief = fitted_to("pref", diverse).believe(first_answers(diverse, 7))
    assert isinstance(belief, PrefBelief)
    person, pool = 2, diverse.differences(diverse.people[2].pool)
    weights = belief.coefficients[person]
    asked = [belief.heads @ row for row in diverse.differences(diverse.people[person].pool[torch.arange(7)])]

    def slope(v: Tensor) -> float:
        p = float(torch.sigmoid(weights @ v))
        return p * (1 - p)

    sigma = 0.001 * torch.eye(len(weights), dtype=torch.float64)
    for v in asked:
        sigma = sigma + slope(v) * torch.outer(v, v)
    inverse = torch.linalg.inv(sigma)
    expected = torch.stack([slope(v) ** 2 * (v @ inverse @ v) for v in pool @ belief.heads.T])
    torch.testing.assert_close(uncertainty(weights, torch.stack(asked), pool @ belief.heads.T), expected)
    allowed = torch.ones(len(pool), dtype=torch.bool)
    allowed[:7] = False
    assert belief.choose(person, pool, allowed, generator) == 7 + int(expected[7:].argmax())


def test_prefs_start_completes_the_centred_matrix(diverse: World) -> None:
    answers = Answers.of_training(diverse)
    matrix, seen = table(answers, torch.arange(answers.size), torch.arange(len(answers.differences)))
    place = (answers.people[0], answers.pair[0])
    same = (answers.people == place[0]) & (answers.pair == place[1])
    assert float(matrix[place]) == pytest.approx(float(answers.wins[same].mean()) - 0.5)
    assert bool((matrix[~seen] == 0).all())
    people, features = factorise(answers, 0)
    guess = Answers.utilities(replace(answers, differences=answers.differences @ features), people)
    assert float(((guess > 0) == (answers.wins > 0.5))[answers.wins != 0.5].double().mean()) > 0.6


def test_prefs_heads_span_what_tastes_vary_in(diverse: World, taste_directions: Tensor) -> None:
    method = fit_on_four_splits("pref", diverse)
    assert isinstance(method, PrefMethod)
    heads = method.heads
    assert float((heads @ taste_directions.T).square().sum() / heads.square().sum()) > 0.8


def test_learned_heads_are_shared_and_kept_for_the_last_world(diverse: World) -> None:
    assert fit_on_four_splits("pref-tuned", diverse) is fit_on_four_splits("pref-tuned", diverse)
    without, with_prior = (fit_on_four_splits(name, diverse) for name in ("pref", "pref-tuned"))
    assert isinstance(without, PrefMethod)
    assert isinstance(with_prior, PrefMethod)
    assert torch.equal(without.heads, with_prior.heads)
    assert without.own < with_prior.own
