"""Quadratic forms of rows."""

import pytest
import torch

from elicitation.norms import norm, quadratic_form


@pytest.mark.parametrize("shape", [(), (7,), (2, 3)])
def test_each_row_has_its_own_quadratic_form(shape: tuple[int, ...], generator: torch.Generator) -> None:
    rows = torch.randn(*shape, 4, generator=generator, dtype=torch.float64)
    root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    found, lengths = quadratic_form(rows, root @ root.T), norm(rows, root @ root.T)
    assert found.shape == lengths.shape == shape
    expected = torch.tensor([float((row @ root).square().sum()) for row in rows.reshape(-1, 4)], dtype=torch.float64)
    torch.testing.assert_close(found.reshape(-1), expected)
    torch.testing.assert_close(lengths.reshape(-1), expected.sqrt())


def test_a_norm_that_rounding_makes_negative_is_0() -> None:
    assert float(norm(torch.ones(1, dtype=torch.float64), torch.full((1, 1), -1e-18, dtype=torch.float64))) == 0
