"""A basis with more heads: fixed sums of the columns of new sources, beside the heads that it has.

Old heads keep their weights and their unit. A new one is standardised on the reference set, so that its coefficients
are in nats per spread like all others. Nobody is known to differ in it yet, so its coefficient is independent of the
others and normal with the recipe's mean and standard deviation.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from elicitation.population import Component, Population
from reward_bases.basis import Basis, Head
from reward_bases.recipe.recipe import HeadRecipe
from reward_bases.sources.features import ENDLESS
from reward_bases.traits.pairs import within_spread

LEAST_SPREAD = 1e-9


def without_heads(basis: Basis) -> Basis:
    """The basis with its columns and no head, to build on."""
    return replace(
        basis,
        heads=(),
        weights=basis.weights[:0],
        mean=basis.mean[:0],
        spread=basis.spread[:0],
        ensemble=basis.ensemble[:0],
    )


def weights_of(heads: Sequence[HeadRecipe], columns: Sequence[str]) -> Tensor:
    """Weights (H, f) of new heads on the new ``columns`` (f,), by their full names."""
    rows = [[head.columns.get(column, 0.0) for column in columns] for head in heads]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(heads), len(columns))


def require_columns(heads: Sequence[HeadRecipe], columns: Sequence[str]) -> None:
    """Raises InvalidInput for a head on a column that is not among ``columns``, by their full names."""
    for head in heads:
        if unknown := [column for column in head.columns if column not in columns]:
            raise InvalidInput(
                f"head {head.name} needs column {unknown[0]}; the recipe's sources give {', '.join(columns) or 'none'}"
            )


def extended(basis: Basis, heads: Sequence[HeadRecipe], columns: Sequence[str], reference: Tensor) -> Basis:
    """The basis and new ``heads`` on new ``columns`` (f,), which are ``reference`` (P, n, f) on the reference set.

    Raises InvalidInput for a head that is the same for all responses to each prompt, and for a name that is taken.
    """
    if taken := set(basis.names) & {head.name for head in heads}:
        raise InvalidInput(f"heads {', '.join(sorted(taken))} are in the basis already; give them other names")
    weights = weights_of(heads, columns)
    raw = reference @ weights.T
    spread = within_spread(raw)
    for head, width in zip(heads, spread.tolist(), strict=True):
        if width < LEAST_SPREAD:
            raise InvalidInput(
                f"head {head.name} is the same for all responses to each reference prompt, so it has no unit; give "
                "reference responses that differ in it, or leave it out"
            )
    endless = torch.full((len(columns),), ENDLESS, dtype=torch.float64)
    ensemble = [torch.block_diag(member, weights) for member in basis.ensemble]
    return replace(
        basis,
        heads=(*basis.heads, *(_described(head) for head in heads)),
        lowest=torch.cat([basis.lowest, -endless]),
        highest=torch.cat([basis.highest, endless]),
        weights=torch.block_diag(basis.weights, weights),
        mean=torch.cat([basis.mean, raw.mean((0, 1))]),
        spread=torch.cat([basis.spread, spread]),
        ensemble=torch.stack(ensemble) if ensemble else basis.ensemble,
    )


def _described(head: HeadRecipe) -> Head:
    said = " + ".join(f"{weight:g} · {column}" for column, weight in head.columns.items())
    return Head(head.name, head.low, head.high, "column", head.protected, f"column: {said}")


def with_heads(population: Population | None, heads: Sequence[HeadRecipe]) -> Population:
    """The population, if any, with the new ``heads``' coefficients."""
    mean = torch.tensor([head.aggregate for head in heads], dtype=torch.float64)
    covariance = torch.diag(torch.tensor([head.std for head in heads], dtype=torch.float64).square())
    if population is None:
        return Population((Component(1.0, mean, covariance),))
    return Population(
        tuple(
            replace(
                part,
                mean=torch.cat([part.mean, mean]),
                covariance=torch.block_diag(part.covariance, covariance),
            )
            for part in population.components
        )
    )
