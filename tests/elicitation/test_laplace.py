"""The climb of many functions at once: each reaches its own top, or the caller hears of it."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from elicitation.errors import NotConverged
from elicitation.laplace import ascend, covariance_root


@dataclass(frozen=True, eq=False)
class Bowl:
    """−√(1 + |a − top|²): Newton's own step overshoots ever further from afar, so that it must be halved."""

    tops: Tensor
    a: Tensor

    @property
    def value(self) -> Tensor:
        return -self._height

    @property
    def gradient(self) -> Tensor:
        return (self.tops - self.a) / self._height[..., None]

    @property
    def step(self) -> Tensor:
        return (self.tops - self.a) * self._height[..., None].square()

    @property
    def _height(self) -> Tensor:
        return (1 + (self.a - self.tops).square().sum(-1)).sqrt()


@dataclass(frozen=True, eq=False)
class Wrong(Bowl):
    """Points downhill."""

    @property
    def step(self) -> Tensor:
        return self.a - self.tops


TOPS = torch.tensor([[0.0, 0.1], [3.0, -2.0], [-40.0, 7.0]], dtype=torch.float64)


def test_every_row_reaches_its_own_top_however_far() -> None:
    found = ascend(lambda a: Bowl(TOPS, a), torch.zeros_like(TOPS), 1e-10, "bowls")
    torch.testing.assert_close(found.a, TOPS, rtol=0, atol=1e-10)


def test_rows_know_nothing_of_one_another() -> None:
    together = ascend(lambda a: Bowl(TOPS, a), torch.zeros_like(TOPS), 1e-10, "bowls").a
    for row, top in zip(together, TOPS, strict=True):
        alone = ascend(lambda a, top=top[None]: Bowl(top, a), torch.zeros(1, 2, dtype=torch.float64), 1e-10, "a bowl").a
        torch.testing.assert_close(alone[0], row, rtol=0, atol=1e-10)


def test_the_step_left_at_the_end_is_below_the_tolerance() -> None:
    found = ascend(lambda a: Bowl(TOPS, a), torch.zeros_like(TOPS), 1e-3, "bowls")
    assert float(found.step.norm(dim=-1).max()) < 1e-3


def test_steps_that_never_climb_are_an_error_that_names_whose_they_are() -> None:
    with pytest.raises(NotConverged, match="bowls: no step of 60 halvings climbs"):
        ascend(lambda a: Wrong(TOPS, a), torch.zeros_like(TOPS), 1e-10, "bowls")


def test_no_rows_are_no_error() -> None:
    nothing = torch.zeros(0, 2, dtype=torch.float64)
    assert ascend(lambda a: Bowl(nothing, a), nothing, 1e-10, "nobody").a.shape == (0, 2)


def test_the_root_squares_to_the_covariance_and_leaves_fixed_heads_out() -> None:
    covariance = torch.tensor([[1.0, 0.4, 0.0], [0.4, 0.5, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    root = covariance_root(covariance)
    assert root.shape == (3, 2)
    torch.testing.assert_close(root @ root.T, covariance)
    assert not root[2].any()
