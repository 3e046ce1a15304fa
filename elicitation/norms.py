"""Lengths of rows under a covariance or precision S: xᵀSx and √(xᵀSx)."""

from torch import Tensor


def quadratic_form(rows: Tensor, matrix: Tensor) -> Tensor:
    """xᵀSx (…) of rows x (…, K) and one symmetric matrix S (K, K)."""
    return ((rows @ matrix) * rows).sum(dim=-1)


def norm(rows: Tensor, matrix: Tensor) -> Tensor:
    """√(xᵀSx) (…) of rows x (…, K) for a positive semidefinite S (K, K); what rounding makes negative is 0.

    Under a covariance of coefficients it is the standard deviation, in nats, of the reward difference for φ
    differences x.
    """
    return quadratic_form(rows, matrix).clamp_min(0).sqrt()
