"""The learners behind the artifact, on people and pairs that were made with known answers."""

import pytest
import torch

from elicitation.choice import ChoiceModel
from reward_bases.make_default.human_judgments import (
    Controls,
    SignedJudgments,
    aggregate,
    choice_constants,
    quality_direction,
    taste_directions,
    taste_spread,
)
from reward_bases.traits.pairs import Pairs, chosen_inverse_ridge, logistic_direction, spread_of, within_prompts
from reward_bases.traits.traits import principal_axes

F = 6


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def judged(direction: torch.Tensor, n: int, generator: torch.Generator) -> Pairs:
    """n pairs whose labels follow a logistic choice along ``direction``; groups of ten."""
    x = torch.randn(n, F, generator=generator, dtype=torch.float64)
    p = torch.sigmoid(x @ direction)
    labels = torch.where(torch.rand(n, generator=generator, dtype=torch.float64) < p, 1.0, -1.0).double()
    return Pairs(x, labels, torch.arange(n) // 10, torch.ones(n, dtype=torch.float64))


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def test_a_head_is_learned_from_differences_within_prompts(generator: torch.Generator) -> None:
    truth = torch.tensor([2.0, -1.0, 0.0, 0.0, 0.5, 0.0], dtype=torch.float64)
    pairs = judged(truth, 2000, generator)
    scale = pairs.differences.std(0)
    found = logistic_direction(pairs, scale, chosen_inverse_ridge(pairs, scale))
    assert cosine(found, truth) > 0.97
    assert pairs.accuracy(found) > 0.75
    assert pairs.accuracy(-found) == pytest.approx(1 - pairs.accuracy(found))


def test_the_order_of_a_pair_does_not_matter(generator: torch.Generator) -> None:
    pairs = judged(torch.ones(F, dtype=torch.float64), 300, generator)
    swapped = Pairs(-pairs.differences, -pairs.labels, pairs.groups, pairs.weights)
    one = torch.ones(F, dtype=torch.float64)
    torch.testing.assert_close(logistic_direction(pairs, one, 0.1), logistic_direction(swapped, one, 0.1))


def test_pairs_stay_within_their_prompt() -> None:
    values = torch.arange(6, dtype=torch.float64)[:, None]
    pairs = within_prompts(values, torch.tensor([0, 1, 0, 1, 1, 0]), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert len(pairs.labels) == 6
    assert sorted(pairs.differences.flatten().tolist()) == [-2, -2, -1, -1, -1, -1]


def test_the_spread_is_pooled_within_prompts_and_ignores_differences_between_them() -> None:
    values = torch.tensor([[0.0, 5.0], [2.0, 5.0], [100.0, 5.0], [102.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(
        spread_of(values, torch.tensor([0, 0, 1, 1])), torch.tensor([2.0**0.5, 1.0], dtype=torch.float64)
    )


def test_quality_does_not_move_with_style_on_the_bank_nor_use_forbidden_features(generator: torch.Generator) -> None:
    style = torch.zeros(1, F, dtype=torch.float64)
    style[0, 0] = 1.0
    truth = torch.tensor([3.0, 0.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    pairs = judged(truth, 3000, generator)
    bank = torch.randn(400, F, generator=generator, dtype=torch.float64)
    bank[:, 2] += bank[:, 0]
    allowed = torch.tensor([False, False, True, True, True, True])
    quality = quality_direction(pairs, Controls(style, bank, allowed))
    torch.testing.assert_close((bank @ quality) @ (bank @ style[0]), torch.tensor(0.0).double(), atol=1e-9, rtol=0)
    assert float(quality[2]) > 0
    assert float(quality[1]) == 0


def test_choice_constants_are_recovered_whatever_the_scale_of_utilities(generator: torch.Generator) -> None:
    model = ChoiceModel(tie=0.6, side_bias=0.2, lapse=0.1)
    z = 2 * torch.randn(40_000, generator=generator, dtype=torch.float64)
    drawn = torch.multinomial(model.probabilities(z + 0.2), 1, generator=generator).flatten()
    found = choice_constants(z / 3, (1 - drawn).double())
    assert found["tie"] == pytest.approx(0.6, abs=0.05)
    assert found["side_bias"] == pytest.approx(0.2, abs=0.05)
    assert found["lapse"] == pytest.approx(0.1, abs=0.03)


def crowd(spread: float, generator: torch.Generator) -> tuple[SignedJudgments, torch.Tensor]:
    """60 people judge the same 80 pairs; they share a mean and differ along one direction with this spread."""
    mean = torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    along = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    x = torch.randn(80, F, generator=generator, dtype=torch.float64)
    tastes = mean + spread * torch.randn(60, 1, generator=generator, dtype=torch.float64) * along
    p = torch.sigmoid(tastes @ x.T)
    labels = torch.where(torch.rand(p.shape, generator=generator, dtype=torch.float64) < p, 1.0, -1.0).double()
    who, item = torch.meshgrid(torch.arange(60), torch.arange(80), indexing="ij")
    rows = item.flatten()
    pairs = Pairs(x[rows], labels.flatten(), rows // 8, torch.ones(len(rows), dtype=torch.float64))
    return SignedJudgments(pairs, who.flatten(), rows), along


def free_of_style(generator: torch.Generator) -> Controls:
    """Controls for the last feature alone."""
    style = torch.zeros(1, F, dtype=torch.float64)
    style[0, -1] = 1.0
    bank = torch.randn(200, F, generator=generator, dtype=torch.float64)
    return Controls(style, bank, torch.ones(F, dtype=torch.bool))


def test_taste_heads_find_the_direction_along_which_people_differ(generator: torch.Generator) -> None:
    judgments, along = crowd(3.0, generator)
    first = taste_directions(judgments, free_of_style(generator))[0]
    assert abs(cosine(first, along)) > 0.9


@pytest.mark.slow
def test_the_spread_of_a_taste_is_learned_and_vanishes_where_people_agree(generator: torch.Generator) -> None:
    free = torch.tensor([False, False, False, True, False, False])
    start = torch.diag(free.double())
    model = ChoiceModel(tie=1e-6, lapse=0.0, log_consistency_std=0.0)
    found = []
    for spread in (1.5, 0.0):
        judgments, _ = crowd(spread, generator)
        mean = aggregate(judgments.pairs, torch.full((F,), 2.0, dtype=torch.float64))
        covariance, _ = taste_spread(judgments, mean, free, start, model)
        found.append(float(covariance[3, 3]) ** 0.5)
    assert found[0] == pytest.approx(1.5, rel=0.3)
    assert found[1] < 0.35


def test_principal_axes_are_those_within_prompts_with_a_fixed_sign(generator: torch.Generator) -> None:
    prompts = torch.arange(40).repeat_interleave(4)
    between = 10 * torch.randn(40, F, generator=generator, dtype=torch.float64)[prompts]
    within = torch.randn(160, F, generator=generator, dtype=torch.float64) * torch.tensor([5.0, 1, 1, 1, 1, 1])
    axis = principal_axes(between + within, prompts, 1)[0]
    assert float(axis[0]) > 0.97
