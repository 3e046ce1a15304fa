"""The coefficients, of all that the guard admits, under which a trick pays most: found by search, then guarded."""

from collections.abc import Callable

import torch
from torch import Tensor

from app.attacks.target import SEED, Target

STEPS = 60
WIDTHS = (1.0, 0.3, 0.1)


def worst(target: Target, gain: Callable[[Tensor], float], towards: Tensor) -> Tensor:
    """Guarded λ (K,) with the largest ``gain``, by climbing over directions of the personal part from ``towards`` (K,).

    Starts are the direction itself, its images under the covariance of the reference rows and under its inverse (the
    best one under a quadratic budget), and the aggregate, from which nothing may be lost.
    """
    generator = torch.Generator().manual_seed(SEED)
    within = target.profiles.policy.reference.within
    ridge = 1e-3 * float(within.diagonal().mean()) * torch.eye(len(within), dtype=torch.float64)
    starts = [towards, within @ towards, torch.linalg.solve(within + ridge, towards)]

    limit = target.profiles.policy.limit

    def guarded(direction: Tensor) -> Tensor:
        # As far as the heads' trust lets anybody go in this direction; the guard shortens it from there.
        free = torch.where(limit > 0, direction, 0.0)
        reach = (limit[limit > 0] / free[limit > 0].abs().clamp_min(1e-12)).min()
        return target.guarded(target.aggregate + reach * free).coefficients

    best, found, reached = towards, target.aggregate, gain(target.aggregate)
    for direction in starts:
        coefficients = guarded(direction)
        if (value := gain(coefficients)) > reached:
            best, found, reached = direction, coefficients, value
    for step in range(STEPS):
        width = WIDTHS[step * len(WIDTHS) // STEPS]
        noise = torch.randn(len(best), generator=generator, dtype=torch.float64)
        tried = best / torch.linalg.vector_norm(best).clamp_min(1e-12) + width * noise / len(best) ** 0.5
        coefficients = guarded(tried)
        if (value := gain(coefficients)) > reached:
            best, found, reached = tried, coefficients, value
    return found
