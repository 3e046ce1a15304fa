"""Many accounts of one person, who answer alike to move the aggregate that everybody starts from."""

from itertools import combinations

import torch
from torch import Tensor

from app.attacks.attack import Attack
from app.attacks.target import SEED, Target
from app.jobs.refitting import improved
from elicitation.choice import OUTCOMES, Choice, Outcomes
from elicitation.crowd import Crowd
from elicitation.population import Population

BAR = 0.1
HONEST, ANSWERS = 200, 10
SYBILS, SYBIL_ANSWERS = 10, 20
HEADS = 2


def sybils(target: Target) -> list[Attack]:
    """λ̄ with 5 % of accounts that always take the side with more of one head, against λ̄ without; the widest heads."""
    free = target.profiles.artifact.population.covariance.diagonal().argsort(descending=True)[:HEADS].tolist()
    crowds = [_crowds(target, head) for head in free]
    artifact = target.profiles.artifact

    def moved(learned: tuple[Population, Population]) -> float:
        honest, joined = learned
        std = artifact.population.covariance.diagonal().sqrt()
        shift = (joined.mean - honest.mean).abs()[std > 0] / std[std > 0]
        return float(shift.max())

    robust = max(moved((improved(honest, artifact), improved(joined, artifact))) for honest, joined in crowds)
    return [Attack("5 % sybils moving the aggregate", robust, BAR, "SD over people, the furthest head")]


def _crowds(target: Target, head: int) -> tuple[Crowd, Crowd]:
    """Honest people, and the same with sybils among them."""
    artifact, generator = target.profiles.artifact, torch.Generator().manual_seed(SEED)
    phi = artifact.bank_phi
    pairs = [pair for prompt in artifact.bank.part("questions") for pair in combinations(prompt.answers, 2)]
    differences = torch.stack([phi[left.id] - phi[right.id] for left, right in pairs])
    values, vectors = torch.linalg.eigh(artifact.population.covariance)
    noise = torch.randn(HONEST, len(values), generator=generator, dtype=torch.float64)
    people = artifact.population.mean + (noise * values.clamp_min(0).sqrt()) @ vectors.T
    shown = differences[torch.randint(len(pairs), (HONEST, ANSWERS), generator=generator)]
    utility = torch.einsum("pnk,pk->pn", shown, people) + artifact.choice_model.side_bias
    columns = torch.multinomial(artifact.choice_model.probabilities(utility).flatten(0, 1), 1, generator=generator)
    attack = differences[torch.randint(len(pairs), (SYBILS, SYBIL_ANSWERS), generator=generator)]
    sides = [Choice.LEFT if float(value) > 0 else Choice.RIGHT for value in attack[..., head].flatten()]
    honest = ([OUTCOMES[column] for column in columns.flatten().tolist()], shown.flatten(0, 1), _who(HONEST, ANSWERS))
    false = (sides, attack.flatten(0, 1), HONEST + _who(SYBILS, SYBIL_ANSWERS))
    joined = (honest[0] + false[0], torch.cat([honest[1], false[1]]), torch.cat([honest[2], false[2]]))
    return _crowd(*honest, HONEST), _crowd(*joined, HONEST + SYBILS)


def _who(people: int, each: int) -> Tensor:
    return torch.arange(people).repeat_interleave(each)


def _crowd(choices: list[Choice], differences: Tensor, who: Tensor, size: int) -> Crowd:
    return Crowd(differences, who, Outcomes.of(choices, [None] * len(choices)), size)
