"""Random judgments told from taste: their share is chosen on held-out people, if it surely helps."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from elicitation.choice import ChoiceModel, Outcomes
from elicitation.errors import InvalidInput
from reward_bases.train.data.judgments import InMemory, Judgments
from reward_bases.train.model.learn import LearnSettings
from reward_bases.train.request import Request
from reward_bases.train.validate.choose import LABEL_NOISES, choose_settings

FEATURES, PEOPLE, EACH = 4, 30, 40
NO_TIES = 1e-9
NOTHING_FIXED = torch.zeros(0, FEATURES, dtype=torch.float64)
START = LearnSettings(learned=0, aggregate_ridge=1.0, covariance_scale=0.01, fixed_scale=0.01)
SCALES = ("covariance_scale", "fixed_scale")
GIVEN = frozenset({"learned", "ridge", "aggregate_ridge", "consistency", "components", "mean_shrinkage", *SCALES})
HELD, LEARNED = True, False


def judged(random: float, tie: float, seed: int = 0) -> Judgments:
    """People who like feature 0 alike, are never in doubt, and judge the share ``random`` without looking."""
    generator = torch.Generator().manual_seed(seed)
    items = torch.randn(300, FEATURES, generator=generator).double()
    who = torch.arange(PEOPLE).repeat_interleave(EACH)
    left, right = torch.randint(300, (2, len(who)), generator=generator)
    model = ChoiceModel(tie=tie, lapse=0.0, log_consistency_std=0.0)
    careful = model.probabilities(5.0 * (items[left] - items[right])[:, 0])
    careless = torch.tensor([1.0, float(tie > NO_TIES), 1.0]).double().expand_as(careful)
    looked = torch.rand(len(who), 1, generator=generator) >= random
    column = torch.where(looked, careful, careless).multinomial(1, generator=generator)[:, 0]
    outcomes = Outcomes(column, (1 - column).double(), torch.zeros(len(who)).double())
    return Judgments(InMemory(items), left, right, who, left // 4, outcomes, PEOPLE)


def chosen(of: Judgments, new_prompts: bool) -> float:
    return choose_settings(of, NOTHING_FIXED, START, new_prompts, GIVEN, label_noise=True).label_noise


@pytest.mark.slow
@pytest.mark.parametrize("new_prompts", [HELD, LEARNED])
@pytest.mark.parametrize("tie", [0.3, NO_TIES])
def test_random_judgments_are_seen(new_prompts: bool, tie: float) -> None:
    assert chosen(judged(0.2, tie), new_prompts) in (0.1, 0.2, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize("tie", [0.3, NO_TIES])
def test_careful_judgments_have_no_noise(tie: float) -> None:
    assert chosen(judged(0.0, tie), HELD) == 0.0


def test_noise_stays_as_it_is_unless_asked_for() -> None:
    start = replace(START, label_noise=0.07)
    assert choose_settings(judged(0.2, 0.3), NOTHING_FIXED, start, HELD, GIVEN).label_noise == 0.07


@pytest.mark.slow
def test_a_chosen_noise_changes_nothing_else() -> None:
    of = judged(0.2, 0.3)
    without = choose_settings(of, NOTHING_FIXED, START, HELD, GIVEN)
    with_noise = choose_settings(of, NOTHING_FIXED, START, HELD, GIVEN, label_noise=True)
    assert replace(with_noise, label_noise=0.0) == without


def test_a_request_chooses_noise_from_none() -> None:
    request = Request(data=Path("judgments.csv"), out=Path("out"), cache=Path("cache"), label_noise=None)
    assert request.settings.label_noise == LABEL_NOISES[0]
    assert request.arguments["label_noise"] is None


@pytest.mark.parametrize("share", [-0.1, 0.95])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput, match="label noise"):
        Request(data=Path("judgments.csv"), out=Path("out"), cache=Path("cache"), label_noise=share)
