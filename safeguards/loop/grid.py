"""Every kind of people under every arm, the trade-off curve of the divergence budget, and what the figures say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from safeguards.loop.measure import Row, rows
from safeguards.loop.play import Trajectory, play
from safeguards.loop.serving import ARMS, Arm
from safeguards.loop.tastes import USER_MODELS, UserModel
from safeguards.loop.world import Crowd, World

DRIFTS = (0.0, 0.02, 0.05, 0.1)
DRAWS = (4, 16, 64)
CURVE = (0.03, 0.05, 0.06, 0.07, 0.08, 0.1, 0.2, 0.5, 1.5)  # ε, nats
GROWTH_MAX, TRUTH_GAP_MAX, SHARE_MIN = 1.5, 0.1, 0.6
JUDGED_DRIFT = 0.05
CALIBRATED = 0.1
"""At drift 0 tastes stay as they are, so what the service believes of their variance may be off by so much."""


@dataclass(frozen=True)
class Cell:
    """One kind of people."""

    user_model: UserModel
    drift: float
    draws: int


@dataclass(frozen=True)
class Point:
    """One divergence budget ε, nats, on one kind of people, and whether all three figures hold there."""

    divergence: float
    row: Row

    @property
    def reached(self) -> bool:
        share = self.row.utility_share
        within = self.row.growth.value <= GROWTH_MAX and self.row.truth_gap.value <= TRUTH_GAP_MAX
        return within and share is not None and share.value >= SHARE_MIN


def cells(world: World, drifts: Sequence[float] = DRIFTS, draws: Sequence[int] = DRAWS) -> tuple[Cell, ...]:
    """Without drift all but flatterers, who answer differently, are the ``fixed`` people."""
    models = [kind for kind in USER_MODELS if kind != "flatterer" or world.agreement is not None]
    kinds = [(kind, drift) for kind in models for drift in drifts]
    distinct = [(kind, drift) for kind, drift in kinds if (drift == 0) == (kind == "fixed") or kind == "flatterer"]
    return tuple(Cell(kind, drift, n) for n in draws for kind, drift in distinct)


def arms(world: World) -> tuple[Arm, ...]:
    """The arms that differ: without an active band ``band`` guards nothing and ``both`` is ``budget``."""
    return ARMS if world.policy.banded else tuple(arm for arm in ARMS if arm not in ("band", "both"))


def guarded_arm(world: World) -> Arm:
    """The arm that the service serves."""
    return "both" if world.policy.banded else "budget"


def compare(world: World, crowd: Crowd, cell: Cell, chosen: Iterable[Arm] | None = None) -> tuple[Row, ...]:
    """The rows of all arms, or of the chosen ones beside the aggregate and the unguarded arm that they are held to."""
    wanted = dict.fromkeys(("aggregate", "unguarded", *(arms(world) if chosen is None else chosen)))
    trajectories: dict[Arm, Trajectory] = {
        arm: play(world, crowd, arm, cell.user_model, cell.drift, cell.draws) for arm in ARMS if arm in wanted
    }
    return rows(trajectories, world, cell.user_model, cell.drift, cell.draws)


def point(world: World, crowd: Crowd, cell: Cell, divergence: float) -> Point:
    """The served arm under another divergence budget."""
    budget = replace(world.policy.budget, divergence=divergence)
    other = replace(world, policy=replace(world.policy, budget=budget))
    arm = guarded_arm(world)
    return Point(divergence, next(row for row in compare(other, crowd, cell, [arm]) if row.arm == arm))


def sane(measured: Sequence[Row]) -> bool:
    """Whether the harness itself leaves people alone: without drift every arm keeps the variance and believes in it."""
    still = [row for row in measured if row.drift == 0 and row.user_model == "fixed"]
    return bool(still) and all(
        abs(row.growth.value - 1) < 1e-9 and abs(row.believed - 1) <= CALIBRATED for row in still
    )


def best(points: Sequence[Point]) -> float:
    """The ε to take: the largest that keeps truth and variance for every N, as use rises with it; or the least."""
    kept = [
        epsilon
        for epsilon in sorted({one.divergence for one in points})
        if all(
            one.row.growth.value <= GROWTH_MAX and one.row.truth_gap.value <= TRUTH_GAP_MAX
            for one in points
            if one.divergence == epsilon
        )
    ]
    return max(kept, default=min(one.divergence for one in points))
