"""One arm, round by round: people are served, answer about what they were served, and are moved by it.

Each round everybody in a seed asks the same prompt, so that people differ only by what they are served. A person
compares a served candidate with one drawn at random. The guard looks at new answers every REFIT rounds.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from safeguards.loop.belief import Belief, variance_trace
from safeguards.loop.serving import Arm, served_coefficients
from safeguards.loop.tastes import UserModel, answers, moved
from safeguards.loop.world import Crowd, World
from safeguards.metrics import best_of_draws

REFIT = 5


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Results of each person, (S, U) or (S, U, K), means over rounds of the expectation over what may be served.

    ``utility`` is by the taste a person came with and ``satisfaction`` by the one they have by then, in nats over the
    candidates' mean; ``served`` (S, U, K) is the mean φ of what is served, over the candidates' mean, in spreads.
    ``variance`` (S, rounds + 1) is tr Cov of tastes, ``believed`` (S,) the variance the service believes in at the end.
    """

    start: Tensor
    end: Tensor
    utility: Tensor
    satisfaction: Tensor
    served: Tensor
    variance: Tensor
    believed: Tensor


def play(world: World, crowd: Crowd, arm: Arm, user_model: UserModel, drift: float, draws: int) -> Trajectory:
    """Run the loop; equal crowds see equal prompts and draws in every arm."""
    generator = torch.Generator().manual_seed(crowd.seed + 1)
    model = replace(world.model, side_bias=0.0)  # sides are drawn by lot
    tastes, believed = crowd.tastes, acquainted(world, crowd, user_model, model, generator)
    rounds = crowd.prompts.shape[1]
    variance = [variance_trace(tastes)]
    served, satisfaction = torch.zeros_like(tastes), torch.zeros(tastes.shape[:2], dtype=tastes.dtype)
    for turn in range(rounds):
        if turn % REFIT == 0:
            coefficients = served_coefficients(arm, believed.mean, crowd.strangers, world)
        candidates = world.reference.centred[crowd.prompts[:, turn]]
        shown = best_of_draws(coefficients @ candidates.mT, draws)
        seen = shown @ candidates
        served = served + seen / rounds
        satisfaction = satisfaction + (seen * tastes).sum(-1) / rounds
        differences = _compared(candidates, shown, generator)
        told = answers(user_model, tastes, differences, world.agreement, model, generator)
        believed = believed.told(differences, told, model)
        tastes = moved(user_model, tastes, candidates, shown, drift, world.reference)
        variance.append(variance_trace(tastes))
    utility = (served * crowd.tastes).sum(-1)
    return Trajectory(
        crowd.tastes, tastes, utility, satisfaction, served, torch.stack(variance, dim=-1), believed.spread
    )


def acquainted(
    world: World, crowd: Crowd, user_model: UserModel, model: ChoiceModel, generator: torch.Generator
) -> Belief:
    """Posterior of everybody after the questions before the first round."""
    belief = Belief.prior(world.population, tuple(crowd.tastes.shape[:2]))
    for differences in crowd.pairs.unbind(2):
        told = answers(user_model, crowd.tastes, differences, world.agreement, model, generator)
        belief = belief.told(differences, told, model)
    return belief


def _compared(candidates: Tensor, shown: Tensor, generator: torch.Generator) -> Tensor:
    """φ differences (S, U, K): a candidate drawn as it is served, minus another drawn evenly."""
    seeds, people, n = shown.shape
    one = shown.flatten(0, 1).multinomial(1, generator=generator).view(seeds, people)
    other = (one + torch.randint(1, n, one.shape, generator=generator)) % n
    rows = torch.arange(seeds)[:, None]
    return candidates[rows, one] - candidates[rows, other]
