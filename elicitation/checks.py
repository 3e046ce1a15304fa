"""Conditions on every tensor that enters the numeric core: float64, the stated shape, finite."""

from collections.abc import Sequence

import torch
from torch import Tensor

from elicitation.errors import InvalidInput

K_MAX = 32


def require_finite(name: str, values: Tensor) -> None:
    """Raise InvalidInput naming the first value of ``values`` (any shape) that is not a finite float64."""
    if values.dtype != torch.float64:
        raise InvalidInput(f"{name} holds {values.dtype}; pass torch.float64")
    finite = torch.isfinite(values)
    if not bool(finite.all()):
        where = (~finite).nonzero()[0].tolist()
        raise InvalidInput(f"{name}{where} = {values[tuple(where)].item()}; every value must be finite")


def require_shape(name: str, values: Tensor, shape: Sequence[int | None]) -> None:
    """Raise InvalidInput unless ``values`` has ``shape``; None leaves a dimension free."""
    fits = values.dim() == len(shape) and all(
        wanted is None or wanted == found for wanted, found in zip(shape, values.shape, strict=True)
    )
    if not fits:
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise InvalidInput(f"{name} has shape {tuple(values.shape)}; expected {wanted}")


def require_number(name: str, value: float, low: float, high: float) -> None:
    """Raise InvalidInput unless ``low <= value <= high`` (NaN never is)."""
    if not low <= value <= high:
        raise InvalidInput(f"{name} = {value}; it must lie in [{low}, {high}]")
