"""A basis with heads from a recipe: the old ones stay as they are, the new ones have the unit of all."""

import pytest
import torch

from elicitation.errors import InvalidInput
from reward_bases.artifact import Artifact
from reward_bases.recipe.extending import extended, require_columns, with_heads, without_heads
from reward_bases.recipe.recipe import HeadRecipe

HEADS = (
    HeadRecipe("mix", {"rm.a": 2.0, "rm.b": -1.0}, "less", "more", aggregate=0.7, std=0.4),
    HeadRecipe("alone", {"rm.b": 1.0}, "less", "more", protected=True, aggregate=1.0, std=0.0),
)
COLUMNS = ("rm.a", "rm.b")


def reference() -> torch.Tensor:
    """(30, 6, 2)."""
    return torch.randn(30, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 5


def test_old_heads_are_bit_equal_and_new_ones_have_mean_0_and_spread_1(artifact: Artifact) -> None:
    old = artifact.basis
    basis = extended(old, HEADS, COLUMNS, reference())
    own = torch.rand(180, old.weights.shape[1], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = basis.phi(torch.cat([own, reference().flatten(0, 1)], 1))
    assert torch.allclose(found[:, : old.k], old.phi(own), rtol=0, atol=1e-12)
    new = found[:, old.k :].unflatten(0, (30, 6))
    assert torch.allclose(new.mean((0, 1)), torch.zeros(2).double(), atol=1e-12)
    within = new - new.mean(1, keepdim=True)
    assert torch.allclose(within.square().sum((0, 1)) / (30 * 5), torch.ones(2).double())
    raw = 2 * reference()[..., 0] - reference()[..., 1]
    assert torch.allclose(new[..., 0] * basis.spread[old.k], raw - raw.mean())


def test_coefficients_of_new_heads_are_independent_of_the_old_ones(artifact: Artifact) -> None:
    k, population = artifact.basis.k, with_heads(artifact.population, HEADS)
    assert torch.equal(population.mean[:k], artifact.population.mean)
    assert population.mean[k:].tolist() == [0.7, 1.0]
    assert torch.equal(population.covariance[:k, :k], artifact.population.covariance)
    assert not population.covariance[:k, k:].any()
    assert torch.allclose(population.covariance[k:, k:], torch.diag(torch.tensor([0.16, 0.0]).double()))


def test_without_the_old_heads_the_new_ones_are_the_same(artifact: Artifact) -> None:
    own = torch.rand(180, artifact.basis.weights.shape[1], generator=torch.Generator().manual_seed(1)).double()
    columns = torch.cat([own, reference().flatten(0, 1)], 1)
    beside = extended(artifact.basis, HEADS, COLUMNS, reference())
    alone = extended(without_heads(artifact.basis), HEADS, COLUMNS, reference())
    assert alone.names == ("mix", "alone")
    assert torch.equal(alone.phi(columns), beside.phi(columns)[:, artifact.basis.k :])
    assert with_heads(None, HEADS).mean.tolist() == [0.7, 1.0]


def test_a_head_without_differences_has_no_unit(artifact: Artifact) -> None:
    flat = reference().mean(1, keepdim=True).expand(30, 6, 2)
    with pytest.raises(InvalidInput, match="head mix is the same for all responses"):
        extended(artifact.basis, HEADS, COLUMNS, flat)


def test_names_are_taken_once_and_columns_must_exist(artifact: Artifact) -> None:
    with pytest.raises(InvalidInput, match="heads brevity are in the basis already"):
        extended(artifact.basis, (HeadRecipe("brevity", {"rm.a": 1.0}, "", ""),), COLUMNS, reference())
    with pytest.raises(InvalidInput, match=r"head mix needs column rm.a; the recipe's sources give rm.b"):
        require_columns(HEADS, ("rm.b",))
