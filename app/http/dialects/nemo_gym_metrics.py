"""NeMo-Gym's ``/aggregate_metrics``: statistics of every number in the rollouts of a run.

They are those that ``SimpleResourcesServer`` of nemo-gym 0.7.0 computes per task and over all rollouts. It has
statistics of repeats and of speed too; both are optional in its format, and left out here, as is a statistic that no
JSON number holds.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from statistics import fmean, median, stdev
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator

from app.http.dialects.nemo_gym import echoable
from app.schemas.base import Flag, Many, Number, Reply

TASK, ROLLOUT = "_ng_task_index", "_ng_rollout_index"
Numbers = Mapping[str, float]
STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": fmean, "max": max, "min": min, "median": median}
AGENT = {"agent_ref": {"name": "agent"}}


class Rollout(BaseModel):
    """A reply of ``/verify`` without its texts; ``mask_sample`` keeps it out of the statistics."""

    model_config = ConfigDict(extra="allow", frozen=True)

    task: StrictInt = Field(default=0, alias="_ng_task_index")
    rollout: StrictInt = Field(default=0, alias="_ng_rollout_index")
    reward: Number
    mask_sample: Flag = False
    response: dict[str, Any] | None = None

    def numbers(self) -> Numbers:
        """Its numbers by name, those of ``response.usage`` among them; what begins with _ is no measurement."""
        usage = (self.response or {}).get("usage")
        extra = {"reward": self.reward} | (self.model_extra or {})
        fields = chain(extra.items(), usage.items() if isinstance(usage, dict) else ())
        return {
            name: int(value) if isinstance(value, bool) else value
            for name, value in fields
            if isinstance(value, int | float) and not name.startswith("_")
        }

    def info(self) -> dict[str, Any]:
        """The rollout as the metrics of its task list it."""
        name = f"{self.task}:{self.rollout}"
        return {"rollout_id": name, TASK: self.task, ROLLOUT: self.rollout, **self.numbers()}


class Rollouts(BaseModel):
    verify_responses: Many[Rollout]

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "example": {
                "verify_responses": [
                    {TASK: 0, ROLLOUT: 0, "reward": 0.5},
                    {TASK: 0, ROLLOUT: 1, "reward": 1.5},
                ]
            }
        },
    )

    @model_validator(mode="before")
    @classmethod
    def _can_be_echoed(cls, body: object) -> object:
        return echoable(body)

    def aggregated(self) -> "Aggregated":
        """The metrics; with masked rollouts also how many the statistics are of."""
        scored = [rollout for rollout in self.verify_responses if not rollout.mask_sample]
        tasks: dict[int, list[Rollout]] = defaultdict(list)
        for rollout in scored:
            tasks[rollout.task].append(rollout)
        groups = [_task(task, tasks[task]) for task in sorted(tasks)]
        coverage = self._coverage(len(scored), len(tasks))
        if not scored:
            return Aggregated(group_level_metrics=[], agent_metrics=coverage, key_metrics=coverage)
        whole = _described([rollout.numbers() for rollout in scored])
        repeats = len({rollout.rollout for rollout in self.verify_responses})
        means = {name: value for name, value in whole.items() if name.startswith("mean/")}
        return Aggregated(
            group_level_metrics=groups,
            agent_metrics={**whole, **coverage, "num_repeats": repeats},
            key_metrics={**means, **coverage},
        )

    def _coverage(self, scored: int, tasks: int) -> dict[str, float]:
        masked = len(self.verify_responses) - scored
        if not masked:
            return {}
        return {
            "coverage/measured_rollouts": scored,
            "coverage/masked_rollouts": masked,
            "coverage/measured_tasks": tasks,
            "coverage/fully_masked_tasks": len({rollout.task for rollout in self.verify_responses}) - tasks,
        }


class Aggregated(Reply):
    group_level_metrics: list[dict[str, Any]] = Field(description="one object for each task")
    agent_metrics: dict[str, float] = Field(description="over all rollouts: mean/reward, std/reward, …")
    key_metrics: dict[str, float] = Field(description="the means")


def _task(task: int, rollouts: Sequence[Rollout]) -> dict[str, Any]:
    number = len(rollouts)
    return {
        TASK: task,
        **_described([rollout.numbers() for rollout in rollouts]),
        "sample": AGENT,
        "num_rollouts": number,
        "expected_num_rollouts": number,
        "missing_num_rollouts": 0,
        "reward_profile_completion_pct": 100.0,
        "rollout_infos": [rollout.info() for rollout in sorted(rollouts, key=lambda rollout: rollout.rollout)],
    }


def _described(rows: Sequence[Numbers]) -> dict[str, float]:
    """Statistics of each number over the rows that have it, as ``mean/reward``.

    A single number has no standard deviation; that of the numbers of a single row is told as 0.
    """
    columns: dict[str, list[float]] = defaultdict(list)
    for name, value in chain.from_iterable(row.items() for row in rows):
        columns[name].append(value)
    found: dict[str, float | None] = {}
    for name, values in columns.items():
        found |= {f"{statistic}/{name}": _finite(compute, values) for statistic, compute in STATISTICS.items()}
        if len(values) > 1:
            found[f"std/{name}"] = _finite(stdev, values)
        elif len(rows) == 1:
            found[f"std/{name}"] = 0.0
    return {name: value for name, value in found.items() if value is not None}


def _finite(compute: Callable[[Sequence[float]], float], values: Sequence[float]) -> float | None:
    try:
        value = float(compute(values))
    except OverflowError:
        return None
    return value if math.isfinite(value) else None
