"""``keel population refit``: the population learned again, without some people of a training run, or from the answers
that a service has collected.

Nothing happens by itself: the new population is a folder with a version of its own, and a service moves to it when it
is started with that folder. A cap bounds what one account can say, and a trimmed mean what a few accounts that agree
can do to a service's population; neither can tell that many accounts are one person.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from app.jobs.collected import collected
from app.jobs.folders import require_new, write_folder
from app.profiles.basis import open_artifact
from app.profiles.lineage import learned_from
from elicitation import empirical
from elicitation.choice import ChoiceModel
from elicitation.crowd import Crowd
from elicitation.errors import ArtifactMismatch, InvalidInput
from elicitation.population import Population
from elicitation.posterior import crowd_of
from elicitation.robust_mean import learn_robustly
from reward_bases.artifact import DEFAULT, Artifact, load_artifact, save_with_population
from reward_bases.population_codec import population_entry, std_of
from reward_bases.train.model.learn import POPULATION_ROUNDS, population_from
from reward_bases.train.model.training_people import People, load_people, marginal, save_people
from reward_bases.train.validate.covariance_scale import COVARIANCE_SCALES
from reward_bases.train.validate.heldout import (
    HeldOut,
    best_covariance_scale,
    learned_without,
    log_likelihoods,
    observed,
    of_people,
    random_folds,
)

PEOPLE_MIN = 30
ANSWERS_MIN = 5
MEASURED = 2000
"""People of a training run on whom a refit is measured; a million judgments would take hours."""


@dataclass(frozen=True)
class HeadChange:
    """Mean and standard deviation over people of a head's coefficient, nats per spread."""

    name: str
    mean_before: float
    std_before: float
    mean_after: float
    std_after: float


@dataclass(frozen=True)
class Refit:
    """Result of a refit; ``written`` is the folder of the new population, None if it was refused."""

    people: int
    answers: int
    left_out: int
    strength: float
    old_version: str
    new_version: str | None
    heads: tuple[HeadChange, ...]
    held_out: HeldOut
    written: str | None


def refit_training(folder: Path, without: Sequence[str], out: Path | None) -> Refit:
    """The population of a training run without the people named, in ``out`` or in place of the old.

    Raises InvalidInput for unknown people or an ``out`` that exists, ArtifactMismatch if the folder's people are not
    those of its population. A population that predicts worse is written all the same: an erasure must not fail.
    """
    require_new(out)
    artifact, people = open_artifact(folder), load_people(folder)
    kept = _without(people, without)
    if people.crowd.k - artifact.basis.k not in (0, 1):
        raise ArtifactMismatch(
            f"the people of {folder} judged by {people.crowd.k} heads, its basis has {artifact.basis.k}; train it again"
        )
    population = _learned(kept, artifact)
    held_out = _erasure_measured(people, kept, artifact)
    card = _described(artifact, population, kept.crowd, held_out, kept.settings.covariance_scale)

    def save(target: Path) -> None:
        save_with_population(folder, target, population, card)
        save_people(target, kept)

    target = out or folder
    write_folder(target, save)
    version = load_artifact(target).population_version
    left_out, scale = len(people.user_ids) - len(kept.user_ids), kept.settings.covariance_scale
    return _report(artifact, population, kept.crowd, left_out, scale, held_out, version, target)


def trained(folder: Path | None) -> Path:
    """The folder of a training run; the artifact shipped is none."""
    if folder is None:
        raise InvalidInput("the basis shipped holds no people; name a folder that keel train wrote, or --data-dir")
    return folder


def refit_service(
    basis: Path | None, data_dir: Path, out: Path, tenant: str, per_person: int, seed: int, force: bool
) -> Refit:
    """The population of a service's people, from their active answers, at most the last ``per_person`` of each.

    EM starts at the old population; the heads that it protects stay. The covariance scale and the measure come from
    people held out. A population that predicts them worse is not written, unless ``force``. Raises InvalidInput with
    the numbers if too few people answered enough.
    """
    require_new(out)
    artifact = open_artifact(basis)
    everybody = asyncio.run(collected(data_dir, tenant, artifact, per_person))
    persons = [(person, evidence) for person, evidence in everybody if len(evidence.moving) >= ANSWERS_MIN]
    if len(persons) < PEOPLE_MIN:
        raise InvalidInput(
            f"{len(persons)} of {len(everybody)} people gave at least {ANSWERS_MIN} answers that say something; "
            f"a refit needs {PEOPLE_MIN} such people, so wait for more"
        )
    crowd, generator = crowd_of([evidence for _, evidence in persons]), torch.Generator().manual_seed(seed)
    fold = random_folds(crowd.size, generator)
    populations = learned_without(crowd, fold, lambda part: improved(part, artifact))
    scale, new = best_covariance_scale(crowd, fold, populations, artifact.choice_model, COVARIANCE_SCALES)
    old = log_likelihoods(crowd, fold, [artifact.population] * len(populations), artifact.choice_model)
    held_out = HeldOut.of(old, new, _predicted(crowd), generator)
    population = empirical.with_covariance_scaled(improved(crowd, artifact), scale)
    version = None
    if held_out.difference >= 0 or force:
        card = _described(artifact, population, crowd, held_out, scale)
        card["learned_from"] = [learned_from(tenant, [person for person, _ in persons]), *_earlier(artifact)]
        write_folder(out, lambda target: save_with_population(basis or DEFAULT, target, population, card))
        version = load_artifact(out).population_version
    return _report(artifact, population, crowd, len(everybody) - len(persons), scale, held_out, version, out)


def _earlier(artifact: Artifact) -> list[dict[str, Any]]:
    """Whose answers the artifact's population holds already: a population that EM starts from is not forgotten."""
    earlier: list[dict[str, Any]] = artifact.card.get("learned_from", [])
    return earlier


def improved(crowd: Crowd, artifact: Artifact) -> Population:
    """The artifact's population, learned further from a service's people; a few accounts cannot move it far."""
    return learn_robustly(crowd, artifact.choice_model, artifact.population, POPULATION_ROUNDS)


def _learned(people: People, artifact: Artifact) -> Population:
    """As training does, over the artifact's heads; a crowd of votes has one head more."""
    population = population_from(
        people.crowd, _trained_model(people, artifact), people.start, people.settings, people.given
    )
    return marginal(population, torch.arange(artifact.basis.k))


def _trained_model(people: People, artifact: Artifact) -> ChoiceModel:
    return replace(artifact.choice_model, log_consistency_std=people.settings.consistency)


def _without(people: People, user_ids: Sequence[str]) -> People:
    unknown = sorted(set(user_ids) - set(people.user_ids))
    if unknown:
        raise InvalidInput(
            f"{len(unknown)} of {len(set(user_ids))} people are not among the {len(people.user_ids)} of the training "
            f"run: {', '.join(unknown)[:200]}; correct --without"
        )
    for user_id in user_ids:
        people = people.without(user_id)
    return people


def _erasure_measured(people: People, kept: People, artifact: Artifact) -> HeldOut:
    """The change for the kept people, held out, from learning without the others; on MEASURED of them at most."""
    generator = torch.Generator().manual_seed(people.settings.seed)
    staying = torch.isin(torch.arange(people.crowd.size), torch.tensor(_places(people, kept)))
    drawn = staying.nonzero().squeeze(1)[torch.randperm(int(staying.sum()), generator=generator)[:MEASURED]]
    fold = torch.full((people.crowd.size,), -1)
    fold[drawn] = random_folds(len(drawn), generator)
    sample = fold >= 0
    before, after = of_people(people.crowd, sample | ~staying), of_people(people.crowd, sample)

    model = _trained_model(people, artifact)

    def learner(crowd: Crowd) -> Population:
        return population_from(crowd, model, people.start, people.settings, people.given)

    old = learned_without(before, fold[sample | ~staying], learner)
    new = learned_without(after, fold[sample], learner)
    first, second = (log_likelihoods(after, fold[sample], populations, model) for populations in (old, new))
    return HeldOut.of(first, second, _predicted(after), generator)


def _places(people: People, kept: People) -> list[int]:
    staying = set(kept.user_ids)
    return [place for place, user_id in enumerate(people.user_ids) if user_id in staying]


def _predicted(crowd: Crowd) -> torch.Tensor:
    """How many answers of each person (P,) are predicted."""
    return torch.bincount(crowd.people[~observed(crowd)], minlength=crowd.size)


def _described(
    artifact: Artifact, population: Population, crowd: Crowd, held_out: HeldOut, covariance_scale: float
) -> dict[str, Any]:
    """The card's entry for the new population."""
    return {
        "population": {
            **population_entry(artifact.basis.names, population),
            "people": crowd.size,
            "answers": len(crowd.people),
            "strength": covariance_scale,
            "earlier_version": artifact.population_version,
            "held_out": asdict(held_out),
        }
    }


def _report(
    artifact: Artifact,
    population: Population,
    crowd: Crowd,
    left_out: int,
    covariance_scale: float,
    held_out: HeldOut,
    version: str | None,
    target: Path,
) -> Refit:
    old = artifact.population
    columns = (artifact.basis.names, old.mean.tolist(), std_of(old), population.mean.tolist(), std_of(population))
    return Refit(
        people=crowd.size,
        answers=len(crowd.people),
        left_out=left_out,
        strength=covariance_scale,
        old_version=artifact.population_version,
        new_version=version,
        heads=tuple(HeadChange(*row) for row in zip(*columns, strict=True)),
        held_out=held_out,
        written=None if version is None else str(target),
    )
