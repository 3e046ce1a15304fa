"""The shipped spreads as a prior of how far people differ: what it does to a covariance, and when it counts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from elicitation.choice import ChoiceModel, Outcomes
from elicitation.errors import InvalidInput
from elicitation.population import Component, Population
from reward_bases.artifact import load_artifact
from reward_bases.train.data.judgments import InMemory, Judgments
from reward_bases.train.features.text_features import shipped_spreads
from reward_bases.train.model.learn import LearnSettings
from reward_bases.train.model.prior import with_prior
from reward_bases.train.model.training_people import rescaled
from reward_bases.train.request import Request
from reward_bases.train.validate.choose import choose_settings
from reward_bases.traits.heads import TRAITS
from reward_bases.traits.pairs import spread_of

K, NAMED = 6, 3
SPREADS = (0.5, 1.0, 2.0)
PRIOR = torch.tensor(SPREADS, dtype=torch.float64).square().diag()
FILES = {"data": Path("judgments.csv"), "out": Path("out"), "cache": Path("cache")}


def population(seed: int = 0, rank: int = K) -> Population:
    root = torch.randn(K, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mean = torch.arange(K, dtype=torch.float64)
    return Population((Component(1.0, mean, root @ root.T + 1e-3 * torch.eye(K, dtype=torch.float64)),))


def regression(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Of heads 0, 4 and 5 on 1, 2 and 3: the slopes, and the covariance of what is left."""
    known, others = [1, 2, 3], [0, 4, 5]
    across = covariance[others][:, known]
    slopes = torch.linalg.solve(covariance[known][:, known], across.T).T
    return slopes, covariance[others][:, others] - slopes @ across.T


@given(st.integers(0, 1000), st.floats(0.1, 500), st.integers(1, 500))
def test_named_heads_spread_between_people_and_prior_and_others_follow_them(
    seed: int, weight: float, people: int
) -> None:
    before = population(seed)
    after = with_prior(before, SPREADS, weight, people)
    block = slice(1, 1 + NAMED)
    expected = (people * before.covariance[block, block] + weight * PRIOR) / (people + weight)
    torch.testing.assert_close(after.covariance[block, block], expected)
    for old, new in zip(regression(before.covariance), regression(after.covariance), strict=True):
        torch.testing.assert_close(new, old, rtol=1e-6, atol=1e-6)
    assert torch.equal(after.mean, before.mean)


def test_a_prior_that_counts_for_nobody_changes_nothing() -> None:
    before = population()
    assert with_prior(before, SPREADS, 0.0, 20) is before


@given(st.integers(0, 1000))
def test_units_of_heads_do_not_matter(seed: int) -> None:
    units = torch.rand(K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    spreads = tuple((torch.tensor(SPREADS) * units[1 : 1 + NAMED]).tolist())
    first = rescaled(with_prior(population(seed), SPREADS, 7.0, 20), units)
    second = with_prior(rescaled(population(seed), units), spreads, 7.0, 20)
    torch.testing.assert_close(first.covariance, second.covariance, rtol=1e-6, atol=1e-8)


def test_heads_along_which_nobody_differed_get_the_prior() -> None:
    alike = Population((Component(1.0, torch.zeros(K).double(), torch.zeros(K, K).double()),))
    found = with_prior(alike, SPREADS, 20.0, 20).covariance
    torch.testing.assert_close(found[1 : 1 + NAMED, 1 : 1 + NAMED], PRIOR / 2)
    assert not bool(found[0].any())


def test_the_shipped_spreads_are_those_of_the_population_in_units_of_the_bank() -> None:
    shipped = load_artifact()
    names = [head.name for head in shipped.basis.heads]
    phi, prompts = [], []
    for number, prompt in enumerate(shipped.bank.prompts):
        phi += [shipped.bank_phi[answer.id] for answer in prompt.answers]
        prompts += [number] * len(prompt.answers)
    for trait, spread in zip(TRAITS, shipped_spreads(), strict=True):
        column = names.index(trait)
        unit = spread_of(torch.stack(phi)[:, [column]], torch.tensor(prompts))
        std = shipped.card["population"]["std"][trait]
        assert spread == pytest.approx(std * float(unit), rel=1e-6)


FEATURES, PEOPLE, EACH = 4, 14, 24
SIZE = 2.0
KNOWN = torch.eye(FEATURES, dtype=torch.float64)[1:3]


def judged(spread: float, people: int = PEOPLE, seed: int = 0) -> Judgments:
    """People who like feature 0 alike, and differ along features 1 and 2 by the standard deviation ``spread``."""
    generator = torch.Generator().manual_seed(seed)
    items = torch.randn(400, FEATURES, generator=generator).double()
    tastes = torch.zeros(people, FEATURES).double()
    tastes[:, 0] = 1.0
    tastes[:, 1:3] = spread * torch.randn(people, 2, generator=generator).double()
    who = torch.arange(people).repeat_interleave(EACH)
    left, right = torch.randint(400, (2, len(who)), generator=generator)
    z = ((items[left] - items[right]) * tastes[who]).sum(1)
    model = ChoiceModel(tie=0.1, lapse=0.0, log_consistency_std=0.0)
    column = model.probabilities(z).multinomial(1, generator=generator)[:, 0]
    outcomes = Outcomes(column, (1 - column).double(), torch.zeros(len(who)).double())
    return Judgments(InMemory(items), left, right, who, left // 4, outcomes, people)


def chosen(of: Judgments, prior: float, held: frozenset[str] = frozenset()) -> LearnSettings:
    """``held`` are settings that are not chosen, besides those of tastes."""
    fixed_scale = 0.01 if "fixed_scale" in held else 1.0
    start = LearnSettings(learned=0, aggregate_ridge=10.0, fixed_scale=fixed_scale, prior_spreads=(prior, prior))
    given = frozenset({"learned", "ridge", "aggregate_ridge", "covariance_scale", "consistency"}) | held
    return choose_settings(of, KNOWN, start, True, given)


@pytest.mark.slow
def test_a_prior_counts_where_people_differ_as_it_says() -> None:
    assert chosen(judged(SIZE), SIZE, frozenset({"fixed_scale"})).prior_people >= 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_prior_hardly_counts_where_people_are_alike(seed: int) -> None:
    assert chosen(judged(0.0, 30, seed), SIZE).prior_people <= 3


@pytest.mark.slow
def test_a_prior_changes_no_other_setting() -> None:
    of = judged(SIZE)
    assert replace(chosen(of, SIZE), prior_people=0.0, prior_spreads=()) == replace(
        chosen(of, 0.1), prior_people=0.0, prior_spreads=()
    )


@pytest.mark.parametrize(
    ("changed", "said"), [({"prior": "population"}, "'default'"), ({"prior": "default", "named": False}, "--no-named")]
)
def test_a_prior_that_cannot_be_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Request(**FILES, **changed)  # type: ignore[arg-type]


def test_without_a_prior_a_run_is_that_of_0_1_0() -> None:
    assert "prior" not in Request(**FILES).arguments
    assert Request(**FILES, prior="default").arguments["prior"] == "default"


def test_stored_settings_come_back_with_their_spreads() -> None:
    settings = LearnSettings(prior_spreads=SPREADS, prior_people=3.0)
    assert LearnSettings.of_stored(settings.as_stored() | {"prior_spreads": list(SPREADS)}) == settings
    old = {name: value for name, value in LearnSettings().as_stored().items() if not name.startswith("prior")}
    assert LearnSettings.of_stored(old) == LearnSettings()
