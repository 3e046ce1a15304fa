"""The choice model: Davidson's ties, lapses and strengths."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from elicitation.choice import OUTCOMES, Choice, ChoiceModel, Outcomes, Strength
from elicitation.errors import InvalidInput

ANSWERS = Outcomes.of(
    [Choice.LEFT, Choice.LEFT, Choice.LEFT, Choice.SAME, Choice.RIGHT, Choice.RIGHT, Choice.RIGHT],
    [None, Strength.SLIGHT, Strength.CLEAR, None, None, Strength.SLIGHT, Strength.CLEAR],
)
Z = torch.tensor([-6.0, -1.3, 0.0, 0.4, 2.0, 9.0], dtype=torch.float64)
MODELS = (ChoiceModel(), ChoiceModel(tie=2.0, lapse=0.0), ChoiceModel(tie=0.01, lapse=0.3, clear_threshold=-1.0))
STEP = 1e-5

models = st.builds(
    ChoiceModel,
    tie=st.floats(0.001, 100),
    side_bias=st.floats(-3, 3),
    lapse=st.floats(0, 0.9),
    clear_threshold=st.floats(-5, 5),
    log_consistency_std=st.floats(0, 1),
)


def everywhere(answers: Outcomes, z: float) -> Tensor:
    return torch.full((len(answers.column),), z, dtype=torch.float64)


@pytest.mark.slow
@given(model=models, z=st.floats(-1e6, 1e6), consistency=st.floats(0.1, 10))
def test_the_bound_on_the_information_is_one(model: ChoiceModel, z: float, consistency: float) -> None:
    at = torch.tensor(z, dtype=torch.float64)
    bound = float(model.information_bound(at, consistency))
    assert bound >= float(model.information(at, consistency)) * (1 - 1e-9)
    assert bound == pytest.approx(float(model.information_bound(at.float(), consistency)), rel=1e-3, abs=1e-30)


@given(z=st.floats(-50, 50), tie=st.floats(0.001, 100))
def test_without_lapses_the_bound_is_the_information(z: float, tie: float) -> None:
    model, at = ChoiceModel(tie=tie, lapse=0.0), torch.tensor(z, dtype=torch.float64)
    assert float(model.information_bound(at)) == pytest.approx(float(model.information(at)), rel=1e-9, abs=0)


@given(model=models, z=st.floats(-1e6, 1e6), consistency=st.floats(0.1, 10))
def test_probabilities_are_positive_and_sum_to_one(model: ChoiceModel, z: float, consistency: float) -> None:
    p = model.probabilities(torch.tensor(z, dtype=torch.float64), consistency)
    assert bool((p >= 0).all())
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)


@given(model=models, z=st.floats(-1e6, 1e6))
def test_swapping_the_sides_swaps_the_probabilities(model: ChoiceModel, z: float) -> None:
    swapped = model.probabilities(torch.tensor(-z, dtype=torch.float64)).flip(-1)
    torch.testing.assert_close(model.probabilities(torch.tensor(z, dtype=torch.float64)), swapped)


def test_without_ties_and_lapses_a_nat_of_utility_is_a_nat_of_log_odds() -> None:
    p = ChoiceModel(tie=1e-12, lapse=0.0).probabilities(Z)
    torch.testing.assert_close((p[:, 0] / p[:, 2]).log(), Z)
    torch.testing.assert_close(p[:, 0], torch.sigmoid(Z))


def test_probabilities_of_an_even_pair_are_the_tie_odds_mixed_with_the_lapse() -> None:
    p = ChoiceModel(tie=0.5, lapse=0.06).probabilities(torch.zeros((), dtype=torch.float64))
    expected = torch.tensor([0.94 / 2.5 + 0.02, 0.94 * 0.5 / 2.5 + 0.02, 0.94 / 2.5 + 0.02], dtype=torch.float64)
    torch.testing.assert_close(p, expected)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("consistency", [0.5, 1.0, 3.0])
def test_log_probabilities_are_the_logarithms(model: ChoiceModel, consistency: float) -> None:
    torch.testing.assert_close(model.log_probabilities(Z, consistency).exp(), model.probabilities(Z, consistency))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("consistency", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("z", Z.tolist())
def test_the_score_is_the_slope_of_the_log_likelihood(model: ChoiceModel, consistency: float, z: float) -> None:
    at = everywhere(ANSWERS, z)
    above = model.log_likelihood(at + STEP, ANSWERS, consistency)
    below = model.log_likelihood(at - STEP, ANSWERS, consistency)
    torch.testing.assert_close(
        model.score(at, ANSWERS, consistency), (above - below) / (2 * STEP), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("z", Z.tolist())
def test_the_observed_information_is_the_falling_slope_of_the_score(model: ChoiceModel, z: float) -> None:
    at = everywhere(ANSWERS, z)
    slope = (model.score(at + STEP, ANSWERS, 1.5) - model.score(at - STEP, ANSWERS, 1.5)) / (2 * STEP)
    torch.testing.assert_close(model.observed_information(at, ANSWERS, 1.5), -slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("model", MODELS)
def test_information_is_the_expected_squared_score(model: ChoiceModel) -> None:
    expected = (model.probabilities(Z, 2.0) * model.scores(Z, 2.0) ** 2).sum(-1)
    torch.testing.assert_close(model.information(Z, 2.0), expected)


@pytest.mark.parametrize("model", MODELS)
def test_a_stated_strength_adds_the_information_of_a_logistic_answer(model: ChoiceModel) -> None:
    """Expected over clear and slight given the chosen side, the squared slope of the strength's log-probability."""
    at = everywhere(ANSWERS, 0.7)
    p_clear = torch.sigmoid(ANSWERS.towards * 0.7 - model.clear_threshold)
    added = torch.where(ANSWERS.strength == 0, 0.0, p_clear * (1 - p_clear))
    torch.testing.assert_close(model.answer_information(at, ANSWERS), model.information(at) + added)


@pytest.mark.parametrize("model", MODELS)
def test_the_win_slope_is_the_slope_of_the_win_probability(model: ChoiceModel) -> None:
    def win(z: Tensor) -> Tensor:
        p = model.probabilities(z, 1.5)
        return p[:, 0] + p[:, 1] / 2

    torch.testing.assert_close(
        model.win_slope(Z, 1.5), (win(Z + STEP) - win(Z - STEP)) / (2 * STEP), rtol=1e-6, atol=1e-8
    )


def test_a_clear_answer_is_even_with_a_slight_one_at_the_threshold() -> None:
    model = ChoiceModel(clear_threshold=1.5)
    slight, clear = (Outcomes.of([Choice.RIGHT], [strength]) for strength in Strength)
    at = torch.tensor([-1.5], dtype=torch.float64)
    torch.testing.assert_close(model.log_likelihood(at, slight), model.log_likelihood(at, clear))


@pytest.mark.parametrize("lapse", [0.0, 0.05])
def test_extreme_differences_give_finite_values(lapse: float) -> None:
    model = ChoiceModel(lapse=lapse)
    for z in (-1e8, 1e8):
        at = everywhere(ANSWERS, z)
        for values in (
            model.log_likelihood(at, ANSWERS),
            model.score(at, ANSWERS),
            model.observed_information(at, ANSWERS),
            model.answer_information(at, ANSWERS),
        ):
            assert bool(torch.isfinite(values).all())


def test_a_lapse_takes_the_sting_out_of_a_surprising_answer() -> None:
    surprise = torch.tensor([-20.0], dtype=torch.float64)
    left = Outcomes.of([Choice.LEFT], [None])
    assert float(ChoiceModel(lapse=0.0).score(surprise, left)) == pytest.approx(1, abs=1e-4)
    assert float(ChoiceModel(lapse=0.05).score(surprise, left)) < 1e-3


@pytest.mark.parametrize("choice", [Choice.SAME, Choice.SKIP, Choice.BOTH_POOR])
def test_a_strength_without_a_side_is_refused(choice: Choice) -> None:
    with pytest.raises(InvalidInput, match=f"strength 'clear' with choice '{choice.value}'"):
        Outcomes.of([choice], [Strength.CLEAR])


@pytest.mark.parametrize(
    ("name", "value"),
    [("tie", 0.0), ("lapse", 1.0), ("lapse", -0.1), ("side_bias", float("nan")), ("log_consistency_std", -1.0)],
)
def test_an_impossible_constant_is_named(name: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=name):
        replace(ChoiceModel(), **{name: value})


def test_the_outcomes_are_in_the_order_of_the_probabilities() -> None:
    assert OUTCOMES == (Choice.LEFT, Choice.SAME, Choice.RIGHT)
    assert ANSWERS.column.tolist() == [0, 0, 0, 1, 2, 2, 2]
