"""A head goes no further than it is to be trusted."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elicitation.errors import InvalidInput
from safeguards.trust import WIDTH, held_out, limited, limits, trust

AGGREGATE = torch.tensor([0.3, -0.2, 0.0], dtype=torch.float64)
LIMIT = torch.tensor([0.5, 0.0, 2.0], dtype=torch.float64)
THREE = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3)


def test_trust_rises_from_chance_to_no_error_and_is_full_without_a_figure() -> None:
    auc = torch.tensor([0.2, 0.5, 0.75, 1.0, torch.nan], dtype=torch.float64)
    assert trust(auc).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_a_limit_is_a_share_of_so_many_standard_deviations() -> None:
    auc, std = torch.tensor([0.75, 0.5], dtype=torch.float64), torch.tensor([0.8, 0.8], dtype=torch.float64)
    assert limits(auc, std).tolist() == pytest.approx([0.5 * WIDTH * 0.8, 0.0])


def test_heads_in_which_nobody_differs_are_left_to_the_guard() -> None:
    assert limits(torch.full((1,), 0.9, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)).tolist() == [
        torch.inf
    ]


def test_figures_come_from_the_cards_held_out_part() -> None:
    metrics = {"designed": {"warmth": {"test": {"head": 0.9}, "questions": {"head": 0.99}}}}
    found = held_out(("warmth", "learned"), metrics)
    assert float(found[0]) == 0.9
    assert bool(found[1].isnan())


@given(values=THREE)
def test_the_limit_holds_and_limiting_again_changes_nothing(values: list[float]) -> None:
    mean = torch.tensor(values, dtype=torch.float64)
    held = limited(mean, AGGREGATE, LIMIT)
    assert bool(((held - AGGREGATE).abs() <= LIMIT + 1e-12).all())
    assert torch.equal(limited(held, AGGREGATE, LIMIT), held)


@pytest.mark.slow
@given(share=st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_what_lies_inside_stays_to_the_last_bit(share: list[float]) -> None:
    mean = AGGREGATE + 0.999 * LIMIT * torch.tensor(share, dtype=torch.float64)
    assert torch.equal(limited(mean, AGGREGATE, LIMIT), mean)
    assert torch.equal(limited(AGGREGATE, AGGREGATE, LIMIT), AGGREGATE)


def test_an_area_outside_its_range_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"1\.2"):
        trust(torch.tensor([1.2], dtype=torch.float64))
