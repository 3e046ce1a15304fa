"""Rows of φ times any number of people's guarded coefficients: every row is multiplied and summed on its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from app.profiles.profiles import Profile
from app.scoring.engine import Item
from safeguards.score import bounded


@dataclass(frozen=True, eq=False)
class CoefficientBatch:
    """U people's constants, and for each of n rows which person it belongs to: ``rows`` (n,).

    ``guarded`` and ``mean`` (U, K), ``covariance`` (U, K, K), ``std``, ``floor`` and ``lowest`` (U,).
    """

    rows: Tensor
    guarded: Tensor
    mean: Tensor
    covariance: Tensor
    std: Tensor
    floor: Tensor
    lowest: Tensor

    @classmethod
    def of(cls, profiles: Sequence[Profile], rows: Sequence[int]) -> "CoefficientBatch":
        scales = torch.tensor([(p.scale.std, p.scale.floor, p.scale.lowest) for p in profiles], dtype=torch.float64)
        return cls(
            torch.tensor(rows),
            _rows([profile.guarded.coefficients for profile in profiles]),
            _rows([profile.posterior.mean for profile in profiles]),
            _rows([profile.guarded.covariance for profile in profiles]),
            *scales.unbind(1),
        )

    def rewards(self, phi: Tensor, passed: Tensor) -> Tensor:
        """Guarded rewards (n,) of φ (n, K): the floor where the gate rejected, never below the lowest elsewhere."""
        reward = (phi * self.guarded[self.rows]).sum(-1)
        return torch.where(passed, torch.maximum(reward, self.lowest[self.rows]), self.floor[self.rows])

    def shares(self, phi: Tensor, passed: Tensor) -> Tensor:
        """Rewards (n,) of φ (n, K) taken apart (n, K + 1): a column for each head, and last the gate's.

        The gate's share is the floor, and where a response passes what lifts its reward to the lowest, mostly zero.
        """
        heads = torch.where(passed[:, None], phi * self.guarded[self.rows], 0.0)
        lift = (self.lowest[self.rows] - heads.sum(-1)).clamp_min(0)
        return torch.cat([heads, torch.where(passed, lift, self.floor[self.rows])[:, None]], -1)

    def at(self, rows: Tensor) -> "CoefficientBatch":
        """The same people's constants for other rows: (m,) places of this table's."""
        return replace(self, rows=self.rows[rows])

    def scores(self, rewards: Tensor) -> Tensor:
        """The same rewards between 0 and 1."""
        return bounded(rewards / self.std[self.rows])

    def stds(self, phi: Tensor, passed: Tensor) -> Tensor:
        """Standard deviations (n,) of r(φ) for φ (n, K), which may be a difference; the floor is certain."""
        # Each row has its own person's covariance, so this is no ``quadratic_form`` of one matrix.
        variance = torch.einsum("nk,nkl,nl->n", phi, self.covariance[self.rows], phi)
        return torch.where(passed, variance.clamp_min(0).sqrt(), 0.0)


def stack_items(items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """φ (n, K) and which responses the gate let through (n,)."""
    return torch.stack([item.phi for item in items]), torch.tensor([item.gate.passed for item in items])


def _rows(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors on top of each other; of one alone a view, without a copy."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(list(tensors))
