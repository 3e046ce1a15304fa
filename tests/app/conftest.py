"""Another artifact to serve than the one shipped."""

from dataclasses import replace
from pathlib import Path

import pytest

from elicitation.population import Population
from reward_bases.artifact import DEFAULT, load_artifact, save_with_population

SHIFT = 0.25


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The artifact shipped with another population: the means of its free heads moved."""
    folder, population = tmp_path / "other", load_artifact().population
    free = (~population.protected).double()
    moved = tuple(replace(part, mean=part.mean + SHIFT * free) for part in population.components)
    save_with_population(DEFAULT, folder, Population(moved), {})
    return folder
