"""All attacks against one fresh service, and the scoreboard."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from app.attacks.answers import answers
from app.attacks.attack import Attack
from app.attacks.erasure import erasure
from app.attacks.injection import injection
from app.attacks.listener import listeners
from app.attacks.order import order
from app.attacks.picks import picks
from app.attacks.sybils import sybils
from app.attacks.target import Target, target
from app.attacks.tenants import tenants
from app.attacks.tricks import tricks
from app.attacks.trivial import trivial

FAMILIES: tuple[Callable[[Target], list[Attack]], ...] = (
    trivial,
    tricks,
    order,
    answers,
    injection,
    listeners,
    picks,
    sybils,
    erasure,
    tenants,
)
"""In this order: the last makes keys, without which the service then answers nobody."""


@dataclass(frozen=True)
class Scoreboard:
    """Every attack and what it holds for."""

    attacks: tuple[Attack, ...]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        missed = sum(not attack.passed for attack in self.attacks)
        return {"attacks": [attack.to_dict() for attack in self.attacks], "missed": missed, "versions": self.versions}


def run(basis: Path | None, progress: Callable[[str], object]) -> Scoreboard:
    """Attack a fresh service over the artifact in ``basis``; ``progress`` gets each family's name at its start."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with target(basis) as service:
            outcomes = []
            for family in FAMILIES:
                progress(family.__name__)
                outcomes += family(service)
            artifact = service.profiles.artifact
    finally:
        torch.set_num_threads(threads)
    versions = {"basis": artifact.basis.version, "population": artifact.population_version}
    return Scoreboard(tuple(outcomes), versions)


def scoreboard(board: Scoreboard) -> Table:
    """The printed table: value, bar and outcome of each attack."""
    table = Table("attack", "value", "bar", "unit", "", title=f"{len(board.attacks)} attacks")
    for attack in board.attacks:
        outcome = "[green]held[/green]" if attack.passed else "[red]missed[/red]"
        table.add_row(attack.name, f"{attack.value:.4g}", f"{attack.bar:g}", attack.unit, outcome)
    return table
