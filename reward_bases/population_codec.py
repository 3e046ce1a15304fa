"""How a population and a choice model are stored: named tensors of a safetensors file, and entries of a card.

    population_weight       (C,) weights of the components
    population_mean         (C, K) means, nats per spread
    population_covariance   (C, K, K) covariances

The card says the same of the population in words of heads, for people to read; nothing is loaded from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.population import Component, Population

POPULATION_TENSORS = ("population_weight", "population_mean", "population_covariance")


def population_tensors(population: Population) -> dict[str, Tensor]:
    """The tensors of POPULATION_TENSORS, float64."""
    parts = population.components
    values = (
        torch.tensor([part.weight for part in parts], dtype=torch.float64),
        torch.stack([part.mean for part in parts]),
        torch.stack([part.covariance for part in parts]),
    )
    return dict(zip(POPULATION_TENSORS, values, strict=True))


def population_of(tensors: Mapping[str, Tensor]) -> Population:
    """The population whose tensors are among ``tensors``; raises InvalidInput where they make none."""
    parts = zip(*(tensors[name] for name in POPULATION_TENSORS), strict=True)
    return Population(tuple(Component(float(weight), mean, covariance) for weight, mean, covariance in parts))


def population_entry(names: Sequence[str], population: Population) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over people of each head's coefficient, nats per spread, for a card."""
    return {
        "aggregate": dict(zip(names, population.mean.tolist(), strict=True)),
        "std": dict(zip(names, std_of(population), strict=True)),
    }


def std_of(population: Population) -> list[float]:
    """Standard deviation over people of each coefficient (K)."""
    std: list[float] = population.covariance.diagonal().clamp_min(0).sqrt().tolist()
    return std


def choice_entry(model: ChoiceModel) -> dict[str, float]:
    """The choice model's constants, for a card."""
    return asdict(model)


def choice_model_of(card: Mapping[str, Any]) -> ChoiceModel:
    """The choice model that a card holds."""
    return ChoiceModel(**card["choice_model"])
