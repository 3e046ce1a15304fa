"""A reward function for TRL and for trainers that call like it: ``f(prompts, completions, **columns) -> rewards``.

    from keel import keel_reward
    trainer = GRPOTrainer(model, reward_funcs=keel_reward("http://127.0.0.1:8765"), ...)

Written for TRL 1.16: GRPO, RLOO and AsyncGRPO take both variants, OnlineDPO the synchronous one. Nothing of TRL is
imported. An error never becomes a number: what passes is waited for, what does not pass ends the run.
"""

from dataclasses import dataclass
from typing import Any, Literal, overload

from keel import wire
from keel.errors import InvalidArgument
from keel.replies import Detail
from keel.reward_function import AsyncFunction, Components, RewardFunction, SyncFunction
from keel.vector_reward import AsyncVectorReward, VectorReward

Rewards = list[float | None]


@dataclass(eq=False, kw_only=True)
class _OneNumber(RewardFunction[float]):
    """A row's reward.

    head: this base reward's share of the reward alone, in nats; the shares of all heads sum to the reward
    """

    head: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head is None:
            return
        if self.normalize != "none" or self.bounded or self.gated == "floor":
            raise InvalidArgument("head gives a share of the plain reward; leave out normalize, bounded and gated")
        self.__name__ = self.name or f"keel_{self.head}"

    def _value(self, reward: float, detail: Detail, components: Components) -> float:
        if self.head is None:
            return reward
        if self.head not in components:
            raise InvalidArgument(f"the basis has no head {self.head!r}; it has {', '.join(detail.heads)}")
        return components[self.head]


class Reward(_OneNumber, SyncFunction[float]):
    """The synchronous reward function."""


class AsyncReward(_OneNumber, AsyncFunction[float]):
    """The asynchronous reward function."""


@overload
def keel_reward(
    base_url: str = ..., *, asynchronous: Literal[False] = ..., vector: Literal[False] = ..., **options: Any
) -> Reward: ...


@overload
def keel_reward(
    base_url: str = ..., *, asynchronous: Literal[True], vector: Literal[False] = ..., **options: Any
) -> AsyncReward: ...


@overload
def keel_reward(
    base_url: str = ..., *, asynchronous: Literal[False] = ..., vector: Literal[True], **options: Any
) -> VectorReward: ...


@overload
def keel_reward(
    base_url: str = ..., *, asynchronous: Literal[True], vector: Literal[True], **options: Any
) -> AsyncVectorReward: ...


def keel_reward(
    base_url: str = wire.DEFAULT_URL, *, asynchronous: bool = False, vector: bool = False, **options: Any
) -> Reward | AsyncReward | VectorReward | AsyncVectorReward:
    """A picklable reward function; ``options`` are the fields that ``RewardFunction`` documents, as ``user_column``.

    With ``vector`` a row's value is a list of its components, in the order of the function's ``names``; else one
    number, and ``head`` asks for one component alone.
    """
    if vector:
        return (AsyncVectorReward if asynchronous else VectorReward)(base_url=base_url, **options)
    return (AsyncReward if asynchronous else Reward)(base_url=base_url, **options)
