"""The people of a training run, stored so that the population can be learned again without one of them.

    people.safetensors   everybody's judgments in base rewards, and the population that EM starts from
    people.json          the people's ids in their order, and the settings

Both are readable by their owner alone: ids are personal data. If the judgments are votes, the crowd has one head more
than the basis, its last: approval, the pull towards agreeing with anything, which no pair of responses shows.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from elicitation.choice import Outcomes
from elicitation.crowd import Crowd
from elicitation.errors import ArtifactMismatch
from elicitation.population import Component, Population
from reward_bases.population_codec import population_of, population_tensors
from reward_bases.train.model.checkpoint import PRIVATE, write_json, write_whole
from reward_bases.train.model.learn import LearnSettings

TENSORS = "people.safetensors"
IDS = "people.json"


@dataclass(frozen=True, eq=False)
class People:
    """``crowd`` of the people ``user_ids``, the population ``start`` of EM, and the ``settings`` of learning.

    ``given`` (K,) bool are the heads that were not learned as tastes.
    """

    crowd: Crowd
    user_ids: tuple[str, ...]
    start: Population
    settings: LearnSettings
    given: Tensor

    def without(self, user_id: str) -> "People":
        """As if ``user_id`` had never taken part."""
        kept = torch.tensor([known != user_id for known in self.user_ids])
        part, number = self.crowd.where(kept[self.crowd.people]), kept.long().cumsum(0) - 1
        crowd = Crowd(part.differences, number[part.people], part.outcomes, int(kept.sum()))
        user_ids = tuple(known for known in self.user_ids if known != user_id)
        return People(crowd, user_ids, self.start, self.settings, self.given)


def save_people(folder: Path, people: People) -> None:
    """Write both files, all or nothing each."""
    crowd = people.crowd
    tensors = {
        "given": people.given,
        "differences": crowd.differences,
        "people": crowd.people,
        "column": crowd.outcomes.column,
        "towards": crowd.outcomes.towards,
        "strength": crowd.outcomes.strength,
        **population_tensors(people.start),
    }
    write_whole(folder / TENSORS, save({name: tensor.contiguous() for name, tensor in tensors.items()}), PRIVATE)
    write_json(folder / IDS, {"user_ids": list(people.user_ids), "settings": people.settings.as_stored()}, PRIVATE)


def load_people(folder: Path) -> People:
    """Read what ``save_people`` wrote, in 0.1.0 too, which had one scale for all heads.

    Raises ArtifactMismatch if it is missing or the files disagree.
    """
    if not ((folder / TENSORS).is_file() and (folder / IDS).is_file()):
        raise ArtifactMismatch(f"{folder} has no {TENSORS} with {IDS}; only a basis that keel train made has them")
    tensors = load((folder / TENSORS).read_bytes())
    described = json.loads((folder / IDS).read_text(encoding="utf-8"))
    user_ids = tuple(described["user_ids"])
    outcomes = Outcomes(tensors["column"], tensors["towards"], tensors["strength"])
    if len(tensors["people"]) and int(tensors["people"].max()) >= len(user_ids):
        raise ArtifactMismatch(f"{TENSORS} holds more people than the {len(user_ids)} ids of {IDS}; train again")
    crowd = Crowd(tensors["differences"], tensors["people"], outcomes, len(user_ids))
    given = tensors.get("given", torch.ones(crowd.k, dtype=torch.bool))
    return People(crowd, user_ids, population_of(tensors), LearnSettings.of_stored(described["settings"]), given)


def rescaled(population: Population, factor: Tensor) -> Population:
    """The population of coefficients times ``factor`` (K,): of heads divided by it."""
    return Population(
        tuple(
            Component(part.weight, part.mean * factor, part.covariance * torch.outer(factor, factor))
            for part in population.components
        )
    )


def marginal(population: Population, heads: Tensor) -> Population:
    """The population of the coefficients of the ``heads`` (indices) alone."""
    return Population(
        tuple(
            Component(part.weight, part.mean[heads], part.covariance[heads][:, heads]) for part in population.components
        )
    )
