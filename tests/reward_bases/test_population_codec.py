"""A stored population comes back bit by bit, and the shipped artifact written again is the same files."""

from pathlib import Path

import torch
from safetensors.torch import load

from elicitation.choice import ChoiceModel
from elicitation.population import Component, Population
from reward_bases.artifact import DEFAULT, load_artifact, save_with_population
from reward_bases.population_codec import (
    POPULATION_TENSORS,
    choice_entry,
    choice_model_of,
    population_entry,
    population_of,
    population_tensors,
)


def mixture(generator: torch.Generator) -> Population:
    """Two components over three heads."""
    roots = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    means = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    parts = zip((0.25, 0.75), means, roots @ roots.mT, strict=True)
    return Population(tuple(Component(*part) for part in parts))


def test_a_mixture_comes_back_bit_by_bit() -> None:
    stored = population_tensors(mixture(torch.Generator().manual_seed(0)))
    assert {name: tuple(tensor.shape) for name, tensor in stored.items()} == {
        "population_weight": (2,),
        "population_mean": (2, 3),
        "population_covariance": (2, 3, 3),
    }
    again = population_tensors(population_of({**stored, "heads": torch.zeros(1)}))
    assert all(torch.equal(again[name], stored[name]) for name in POPULATION_TENSORS)


def test_a_choice_model_comes_back() -> None:
    model = ChoiceModel(tie=0.3, side_bias=-0.1, lapse=0.02, clear_threshold=1.1, log_consistency_std=0.4)
    assert choice_model_of({"choice_model": choice_entry(model), "heads": []}) == model


def test_a_card_says_mean_and_spread_of_the_whole_mixture() -> None:
    population = mixture(torch.Generator().manual_seed(0))
    entry = population_entry("abc", population)
    assert list(entry["aggregate"].values()) == population.mean.tolist()
    variances = torch.tensor(list(entry["std"].values()), dtype=torch.float64).square()
    torch.testing.assert_close(variances, population.covariance.diagonal())


def test_the_shipped_artifact_written_again_is_the_same_files(tmp_path: Path) -> None:
    shipped, again = load_artifact(), tmp_path / "again"
    entry = {"choice_model": choice_entry(shipped.choice_model)}
    save_with_population(DEFAULT, again, shipped.population, entry)
    names = {path.name for path in DEFAULT.iterdir() if path.is_file()}
    assert {"basis.safetensors", "card.json", "bank.json", "guard.json"} <= names
    assert all((again / name).read_bytes() == (DEFAULT / name).read_bytes() for name in names)


def test_the_shipped_card_says_what_the_shipped_tensors_hold() -> None:
    tensors = load((DEFAULT / "basis.safetensors").read_bytes())
    artifact = load_artifact()
    said = artifact.card["population"]
    assert population_entry(artifact.basis.names, population_of(tensors)) == {
        "aggregate": said["aggregate"],
        "std": said["std"],
    }
