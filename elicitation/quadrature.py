"""Gauss–Hermite quadrature for the standard normal: E[g(x)] ≈ Σ_j w_j·g(x_j)."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=8)
def gauss_hermite(nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights (nodes,), float64; the weights sum to 1. Exact for polynomials of degree 2·nodes − 1."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return torch.from_numpy(x), torch.from_numpy(w / w.sum())
