"""verl: ``custom_reward_function.path=<this file>``, its name ``compute_score`` or ``compute_score_async``.

The person and the prompt ride in the row's ``extra_info``: ``{"user_id": "ada", "prompt": "…" or messages}``. What else
``keel_reward`` takes goes into ``custom_reward_function.reward_kwargs``. A gated response gets the floor reward, since
verl takes no None; ``gated`` tells which. ``keel_{name}`` is each component of the reward in nats: what verl logs, and
what ``algorithm.gdpo_reward_keys`` may name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

from keel.replies import Detail
from keel.reward_function import AsyncFunction, Components, RewardFunction, SyncFunction

Score = dict[str, float]


def compute_score(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any], **options: Any
) -> Score:
    """One response's reward in nats; raises KeyError when ``extra_info`` has no prompt or no person."""
    rewards = _reward(_key(options))([extra_info["prompt"]], [solution_str], user_id=[extra_info["user_id"]])
    return cast(Score, rewards[0])


async def compute_score_async(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any], **options: Any
) -> Score:
    """The same, awaited."""
    reward = _async_reward(_key(options))
    rewards = await reward([extra_info["prompt"]], [solution_str], user_id=[extra_info["user_id"]])
    return cast(Score, rewards[0])


@dataclass(eq=False, kw_only=True)
class _Scored(RewardFunction[Score]):
    """A row's reward with what verl logs beside it: the same keys for every row."""

    gated: Literal["skip", "floor"] = "floor"

    def _value(self, reward: float, detail: Detail, components: Components) -> Score:
        shares = {f"keel_{name}": share for name, share in components.items()}
        return {"score": reward, "gated": float(not detail.gate.passed)} | shares


class _Reward(_Scored, SyncFunction[Score]):
    pass


class _AsyncReward(_Scored, AsyncFunction[Score]):
    pass


# One object per set of options: its connection stays open and its pins hold for the whole run.
@cache
def _reward(options: str) -> _Reward:
    return _Reward(**json.loads(options))


@cache
def _async_reward(options: str) -> _AsyncReward:
    return _AsyncReward(**json.loads(options))


def _key(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)
