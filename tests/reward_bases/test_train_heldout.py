"""How well a population predicts people it was not learned from."""

import pytest
import torch

from elicitation.choice import OUTCOMES, ChoiceModel, Outcomes
from elicitation.crowd import Crowd
from elicitation.population import Component, Population
from reward_bases.train.validate.heldout import FOLDS, HeldOut, learned_without, log_likelihoods, observed, random_folds

MODEL = ChoiceModel()
POPULATION = Population((Component(1.0, torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)),))


def crowd_of(people: int, answers: int) -> Crowd:
    """``answers`` random ones of each."""
    generator, number = torch.Generator().manual_seed(1), people * answers
    choices = [OUTCOMES[column] for column in torch.randint(3, (number,), generator=generator).tolist()]
    differences = torch.randn(number, 2, generator=generator, dtype=torch.float64)
    who = torch.arange(people).repeat_interleave(answers)
    return Crowd(differences, who, Outcomes.of(choices, [None] * number), people)


def test_half_of_a_persons_answers_are_observed_and_the_rest_predicted() -> None:
    assert observed(crowd_of(3, 7)).reshape(3, 7).tolist() == [[True] * 3 + [False] * 4] * 3


def test_held_out_log_likelihoods_come_from_populations_learned_without_the_person() -> None:
    crowd = crowd_of(40, 8)
    fold, met = random_folds(40, torch.Generator().manual_seed(0)), []

    def learner(part: Crowd) -> Population:
        met.append(part)
        return POPULATION

    populations = learned_without(crowd, fold, learner)
    assert len(met) == FOLDS
    for number, part in enumerate(met):
        expected = crowd.differences[(fold != number)[crowd.people]]
        assert torch.equal(part.differences, expected)
    same = log_likelihoods(crowd, fold, populations, MODEL)
    whole = log_likelihoods(crowd, torch.zeros(40).long(), [POPULATION], MODEL)
    torch.testing.assert_close(same, whole)


def test_the_interval_is_that_of_the_mean_over_answers() -> None:
    generator = torch.Generator().manual_seed(0)
    gain = 0.1 + torch.randn(400, generator=generator, dtype=torch.float64)
    old, predicted = torch.zeros(400, dtype=torch.float64), torch.full((400,), 2)
    held = HeldOut.of(old, gain, predicted, generator)
    half = 1.96 * float(gain.std()) / 400**0.5 / 2
    assert held.difference == pytest.approx(float(gain.mean()) / 2)
    assert held.high - held.low == pytest.approx(2 * half, rel=0.1)
