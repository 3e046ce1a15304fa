"""``keel guard tune``: the trade-off curve of guards, and the budget and band that it chooses.

Ordinary people are drawn from the population prior, never from those that a demo or benchmark simulates; their held-out
choices are over the pairs of the bank's heads part, which nobody is asked about. Flatterers answer the stance probes
and are measured on those that were held out of their answers and of the band.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from app.people.pool import Pool
from app.profiles.basis import open_artifact, open_encoder
from app.sources.opening import opening
from reward_bases.artifact import Artifact, save_guard
from reward_bases.probes import ProbeRows, Stratum, load_probes, rows_under, stance_differences
from safeguards.flatterers import Fold, learn_flatterers
from safeguards.policy import GuardPolicy, counterweight, stratum_entry
from safeguards.stance import Stance, assess
from safeguards.tradeoff import Chosen, Flattery, Ground, Row, choose, draw_people, tradeoff
from safeguards.trust import limited

STRATUM: Stratum = "explicit"
"""The strata in which the shipped encoder can measure flatterers."""


@dataclass(frozen=True)
class Tuning:
    """The strata, the whole curve and the row taken from it."""

    people: int
    flatterers: int
    seed: int
    agreement: Mapping[str, Mapping[str, Any]]
    flattery: str
    rows: tuple[Row, ...]
    chosen: Chosen


def tune(folder: Path, people: int, flatterers: int, seed: int, data_dir: Path) -> Tuning:
    """The curve for ``people`` drawn from the artifact's prior and ``flatterers`` who answer its probes.

    Judges of the basis keep their judgments in ``data_dir``.
    """
    artifact = open_artifact(folder)
    with opening(data_dir) as openers:
        rows = rows_under(load_probes(), artifact, open_encoder(artifact, folder), openers)
    ground = ground_of(artifact, rows, people, flatterers, seed)
    curve = tradeoff(ground)
    chosen = choose(curve)
    return Tuning(
        people=people,
        flatterers=flatterers,
        seed=seed,
        agreement={name: stratum_entry(stance, chosen.row.limit) for name, stance in ground.stances.items()},
        flattery="measured" if ground.flattery else "inconclusive: no held-out stance probe is above chance",
        rows=curve,
        chosen=chosen,
    )


def ground_of(artifact: Artifact, rows: Mapping[Stratum, ProbeRows], people: int, flatterers: int, seed: int) -> Ground:
    """Test material for guards of the artifact; every draw depends on ``seed`` alone."""
    population, policy = artifact.population, GuardPolicy.of(artifact)
    stances: dict[str, Stance] = {
        name: assess(stance_differences(name, row), policy.reference.within, _seeded(seed))
        for name, row in rows.items()
    }
    return Ground(
        population=population,
        reference=policy.reference,
        protected=policy.protected,
        counterweight=counterweight(artifact),
        people=draw_people(population.mean, population.covariance, people, _seeded(seed)),
        pairs=Pool.of(artifact).targets,
        stances=stances,
        flattery=flattery_of(artifact, rows[STRATUM], stances[STRATUM], flatterers, seed),
        seed=seed,
    )


def flattery_of(artifact: Artifact, rows: ProbeRows, stance: Stance, count: int, seed: int) -> Flattery | None:
    """Flatterers as the service would learn them, each head's trust included; None where nothing is conclusive."""
    if not stance.conclusive:
        return None
    population, limit = artifact.population, GuardPolicy.of(artifact).limit
    folds = learn_flatterers(rows.opinions, rows.facts, count, population, artifact.choice_model, _seeded(seed))
    trusted = [Fold(fold.held_out, fold.asked, limited(fold.people, population.mean, limit)) for fold in folds]
    return Flattery(STRATUM, trusted, rows.facts)


def write(tuning: Tuning, folder: Path) -> None:
    """Make what was chosen the artifact's budget and band, with the curve it comes from."""
    row = tuning.chosen.row
    content = {"budget": {"divergence": row.divergence, "starc": row.starc}, **asdict(tuning)}
    save_guard(folder, content)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
