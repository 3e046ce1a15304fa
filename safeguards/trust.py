"""How far a head may be personalised, by how well it measures what its name says.

A head's held-out trust is t_k = clip((AUC_k − ½)/½, 0, 1): 0 for a head that orders unseen pairs by chance, 1 for one
that never errs. A person's coefficient is kept within

    |λ_k − λ̄_k| ≤ t_k · WIDTH · σ_k,        σ_k the population's standard deviation,

before the band and the budget, and again after the band. A coefficient inside the limit is returned as it came, so
zero answers stay exactly the aggregate, and limiting twice changes nothing. A head without a held-out figure is limited
at t = 1; one in which nobody differs is the guard's alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from elicitation.errors import InvalidInput

WIDTH = 3.0
"""Standard deviations of the population that a head of full trust may reach: one person in 400 is further out."""


def trust(auc: Tensor) -> Tensor:
    """t (K,) of held-out areas under the ROC curve (K,); NaN, no figure, is 1. InvalidInput outside [0, 1]."""
    if bool(((auc < 0) | (auc > 1)).any()):
        raise InvalidInput(f"an AUC of {float(auc[(auc < 0) | (auc > 1)][0])} lies outside [0, 1]; correct the card")
    return torch.where(auc.isnan(), 1.0, ((auc - 0.5) / 0.5).clamp(0, 1))


def held_out(names: Sequence[str], metrics: Mapping[str, Any]) -> Tensor:
    """Held-out AUC (K,) of the heads from a card's ``metrics``: ``designed``, head, ``test``, ``head``; NaN without."""
    figures = metrics.get("designed", {})
    found = [figures.get(name, {}).get("test", {}).get("head") for name in names]
    return torch.tensor([torch.nan if auc is None else auc for auc in found], dtype=torch.float64)


def limited(mean: Tensor, aggregate: Tensor, limit: Tensor) -> Tensor:
    """λ (K,) within ``limit`` (K,), nats, of the aggregate λ̄ (K,)."""
    deviation = mean - aggregate
    return torch.where(deviation.abs() <= limit, mean, aggregate + deviation.sign() * limit)


def limits(auc: Tensor, std: Tensor) -> Tensor:
    """The limit (K,), nats, of heads with held-out ``auc`` (K,) and standard deviations over people ``std`` (K,)."""
    return torch.where(std > 0, trust(auc) * WIDTH * std, torch.inf)
