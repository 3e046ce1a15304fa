"""The mode of many log posteriors at once, and the square root of a prior's covariance.

Each of R log posteriors f is climbed from its own start by a ← a + t·d. The step d is the point's own (Newton's or
Fisher's), and t is the first of 1, ½, ¼, … that climbs enough:

    f(a + t·d) ≥ f(a) + 10⁻⁴·t·dᵀ∇f                      Armijo, or
    |dᵀ∇f(a + t·d)| ≤ 0.9·dᵀ∇f, f up to rounding no lower   close to the mode, where rounding hides the rise

The rows know nothing of one another; all of them go on until the last has arrived. Laplace's approximation around a
mode is N(a, H⁻¹), with the log evidence f − ½·log det H.

Coordinates are whitened, a ~ N(0, I), so that lengths are in prior standard deviations. Source: approximate Wolfe
conditions of Hager and Zhang (2005).
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from elicitation.errors import NotConverged

MAX_ITERATIONS = 200
MAX_HALVINGS = 60
RANK_TOLERANCE = 1e-12
RISE, FLATTER = 1e-4, 0.9
"""Share of the rise that the slope promises, and of the slope that may be left."""
ROUNDING = 1e-12
"""Error of a log posterior, relative to 1 plus its size."""


class Point(Protocol):
    """R log posteriors at ``a`` (…, r): their values (…), and gradient and step (…, r) there."""

    @property
    def a(self) -> Tensor: ...
    @property
    def value(self) -> Tensor: ...
    @property
    def gradient(self) -> Tensor: ...
    @property
    def step(self) -> Tensor: ...


P = TypeVar("P", bound=Point)


def ascend(at: Callable[[Tensor], P], start: Tensor, tolerance: float, whose: str) -> P:
    """The point, reached from ``start`` (…, r), from which no row's step is longer than ``tolerance``.

    The step from there is not taken; what it would leave is of the order of its square. Raises NotConverged, naming
    ``whose`` modes these are, when some row does not arrive.
    """
    point = at(start)
    for _ in range(MAX_ITERATIONS):
        lengths = row_norms(point.step)
        longest = float(lengths.max()) if lengths.numel() else 0.0
        if longest < tolerance:
            return point
        point = _advance(at, point, lengths < tolerance, whose)
    raise NotConverged(
        f"{whose}: the step is still {longest:.1e} > {tolerance:.0e} prior standard deviations after "
        f"{MAX_ITERATIONS} iterations; look for values of extreme size"
    )


def row_norms(rows: Tensor) -> Tensor:
    """Lengths (…) of rows (…, r); a product with ones adds short rows faster than a sum over the last dimension."""
    return rows.square().matmul(torch.ones(rows.shape[-1], dtype=rows.dtype)).sqrt()


def _advance(at: Callable[[Tensor], P], point: P, arrived: Tensor, whose: str) -> P:
    """Every row's first of step, step/2, step/4, … that climbs enough; those that have ``arrived`` take it whole."""
    slope = (point.gradient * point.step).sum(-1)
    length = torch.ones_like(slope)
    for _ in range(MAX_HALVINGS):
        reached = at(point.a + length[..., None] * point.step)
        enough = arrived | (reached.value >= point.value + RISE * length * slope)
        if not bool(enough.all()):
            enough |= _flatter(point, reached, slope)
        if bool(enough.all()):
            return reached
        length = torch.where(enough, length, length / 2)
    raise NotConverged(f"{whose}: no step of {MAX_HALVINGS} halvings climbs (slope {float(slope[~enough][0]):.1e})")


def _flatter(point: Point, reached: Point, slope: Tensor) -> Tensor:
    """Whether the slope has fallen, which proves progress, and the value has not, beyond rounding (…)."""
    left = (reached.gradient * point.step).sum(-1).abs()
    lowest = point.value - ROUNDING * (1 + point.value.abs())
    return (left <= FLATTER * slope) & (reached.value >= lowest)


def covariance_root(covariance: Tensor) -> Tensor:
    """L (K, r) with L·Lᵀ = ``covariance`` (K, K) of rank r; orthogonal columns, rows of zero variance exactly zero."""
    free = covariance.diagonal() > 0
    values, vectors = torch.linalg.eigh(covariance[free][:, free])
    kept = values > RANK_TOLERANCE * values.sum()
    root = torch.zeros(len(covariance), int(kept.sum()), dtype=torch.float64)
    root[free] = vectors[:, kept] * values[kept].sqrt()
    return root
