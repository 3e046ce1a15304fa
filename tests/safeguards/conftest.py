"""A small reference set with correlated heads, an aggregate with a protected last head, and a budget that binds."""

import pytest
import torch
from torch import Tensor

from safeguards.guard import Budget, Reference

# The matrices are small: threads would wait for one another longer than they compute.
torch.set_num_threads(1)

K = 5


@pytest.fixture(scope="session")
def reference() -> Reference:
    generator = torch.Generator().manual_seed(11)
    mixing = torch.eye(K, dtype=torch.float64) + 0.3
    return Reference.of(torch.randn(20, 16, K, dtype=torch.float64, generator=generator) @ mixing + 0.2)


@pytest.fixture(scope="session")
def aggregate() -> Tensor:
    return torch.tensor([0.5, -0.2, 0.1, 0.3, 0.8], dtype=torch.float64)


@pytest.fixture(scope="session")
def covariance() -> Tensor:
    return torch.diag(torch.tensor([0.3, 0.2, 0.4, 0.1, 0.2], dtype=torch.float64)) + 0.05


@pytest.fixture(scope="session")
def protected() -> Tensor:
    return torch.tensor([False, False, False, False, True])


@pytest.fixture(scope="session")
def budget() -> Budget:
    return Budget(divergence=0.3, starc=0.25)
