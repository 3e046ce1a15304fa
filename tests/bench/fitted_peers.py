"""Peers fitted to the worlds of tastes, and answers of their people."""

import pytest
import torch
from torch import Tensor

from bench.compare.method import Method
from bench.compare.methods import PEERS
from bench.compare.world import World
from elicitation.choice import Outcomes
from elicitation.crowd import Crowd


def fit_on_four_splits(name: str, world: World) -> Method:
    """As the recipe does, its settings tuned on four splits of sixty training people, enough for these worlds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reward_bases.train.validate.folds.ENOUGH", 24)
        return PEERS[name](world)


def first_answers(world: World, asked: int) -> Crowd:
    """Everybody's answers to the first ``asked`` questions of their pools."""
    rows = torch.arange(asked)
    differences = torch.cat([world.differences(person.pool[rows]) for person in world.people])
    columns = torch.cat([person.outcomes.column[rows] for person in world.people])
    people = torch.arange(len(world.people)).repeat_interleave(asked)
    return Crowd(differences, people, outcomes(columns), len(world.people))


def outcomes(column: Tensor) -> Outcomes:
    """Answers in the columns (left, same, right) without a stated strength."""
    return Outcomes(column, 1.0 - column.double(), torch.zeros(len(column), dtype=torch.float64))
