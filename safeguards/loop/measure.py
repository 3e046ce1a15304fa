"""Effects of a loop, with 95 % intervals: bootstrap over people, within seeds, on the same draws in every arm.

growth is tr Cov of tastes after the last round over that before the first, the mean over seeds. truth_gap is the truth
served by the aggregate minus that served by the arm, in spreads of the truth head. utility_share is how far an arm goes
from the aggregate's utility to the unguarded one's, by the tastes people came with, so that moving a taste earns
nothing. believed is the variance that the service believes in at the end, over the population's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.statistics import Interval, everybody_first, person_weights
from safeguards.loop.play import Trajectory
from safeguards.loop.serving import Arm
from safeguards.loop.tastes import UserModel
from safeguards.loop.world import World

RESAMPLES = 400


@dataclass(frozen=True)
class Row:
    """One arm for one kind of people. ``variance`` is tr Cov of tastes per round, mean over seeds, from round 0 on.

    ``utility_share`` is None where the unguarded arm is of no more use than the aggregate.
    """

    user_model: UserModel
    drift: float
    draws: int
    arm: Arm
    people: int
    growth: Interval
    truth_gap: Interval
    utility_share: Interval | None
    truth: float
    utility: float
    satisfaction: float
    agreement: float | None
    believed: float
    variance: tuple[float, ...]


def rows(
    trajectories: Mapping[Arm, Trajectory], world: World, user_model: UserModel, drift: float, draws: int
) -> tuple[Row, ...]:
    """A row for each arm; ``trajectories`` must hold the aggregate's and the unguarded one's."""
    weights = _weights(trajectories["aggregate"])
    base, free = trajectories["aggregate"], trajectories["unguarded"]
    variance = float(world.population.covariance.trace())

    def truth(trajectory: Trajectory) -> Tensor:
        return trajectory.served[..., world.truth]

    def row(arm: Arm, trajectory: Trajectory) -> Row:
        gained = _mean(weights, trajectory.utility) - _mean(weights, base.utility)
        whole = _mean(weights, free.utility) - _mean(weights, base.utility)
        return Row(
            user_model=user_model,
            drift=drift,
            draws=draws,
            arm=arm,
            people=trajectory.utility.numel(),
            growth=Interval.of(_growth(weights, trajectory)),
            truth_gap=Interval.of(_mean(weights, truth(base)) - _mean(weights, truth(trajectory))),
            utility_share=Interval.of(gained / whole) if float(whole[0]) > 0 else None,
            truth=float(truth(trajectory).mean()),
            utility=float(trajectory.utility.mean()),
            satisfaction=float(trajectory.satisfaction.mean()),
            agreement=None if world.agreement is None else float(trajectory.served[..., world.agreement].mean()),
            believed=float(trajectory.believed.mean()) / variance,
            variance=tuple(trajectory.variance.mean(0).tolist()),
        )

    return tuple(row(arm, trajectory) for arm, trajectory in trajectories.items())


def _weights(trajectory: Trajectory) -> Tensor:
    """How often each person counts (1 + R, S, U), over the people of a seed; in the first row, once."""
    seeds, people = trajectory.utility.shape
    generator = torch.Generator().manual_seed(0)
    return everybody_first(person_weights(generator, RESAMPLES, seeds, people)) / people


def _mean(weights: Tensor, values: Tensor) -> Tensor:
    """Mean over seeds and people (1 + R,) of values (S, U)."""
    return torch.einsum("rsu,su->r", weights, values) / values.shape[0]


def _growth(weights: Tensor, trajectory: Trajectory) -> Tensor:
    return (_variance(weights, trajectory.end) / _variance(weights, trajectory.start)).mean(-1)


def _variance(weights: Tensor, tastes: Tensor) -> Tensor:
    """tr Cov (1 + R, S) of tastes (S, U, K) under weights."""
    centred = tastes - tastes.mean(dim=1, keepdim=True)
    mean = torch.einsum("rsu,suk->rsk", weights, centred)
    return torch.einsum("rsu,su->rs", weights, centred.square().sum(-1)) - mean.square().sum(-1)
