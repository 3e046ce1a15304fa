"""Rewards of items for profiles: constant within a profile version, so each is computed once and remembered."""

from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from app.cache import LruCache
from app.profiles.profiles import Profile
from app.scoring.coefficients import CoefficientBatch, stack_items
from app.scoring.engine import Item

ITEMS_PER_PROFILE = 1_024


class Reward(NamedTuple):
    """A reward in nats and its score in 0–1."""

    reward: float
    score: float


class RewardCache:
    """Belongs to the event loop; what a profile remembers goes with it."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Profile, LruCache[Item, Reward]] = WeakKeyDictionary()

    def of(self, profiles: Sequence[Profile], items: Sequence[Item]) -> list[Reward]:
        """The reward of each item to the profile in the same place."""
        pairs = list(zip(profiles, items, strict=True))
        rewards = {pair: self._of(pair[0]).get(pair[1]) for pair in pairs}
        missing = [pair for pair, reward in rewards.items() if reward is None]
        fresh = dict(zip(missing, _computed(missing), strict=True)) if missing else {}
        for (profile, item), reward in fresh.items():
            self._of(profile).put(item, reward)
        return [rewards[pair] or fresh[pair] for pair in pairs]

    def _of(self, profile: Profile) -> LruCache[Item, Reward]:
        known = self._known.get(profile)
        if known is None:
            known = self._known[profile] = LruCache(ITEMS_PER_PROFILE)
        return known


def _computed(pairs: Sequence[tuple[Profile, Item]]) -> list[Reward]:
    places = {profile: place for place, profile in enumerate(dict.fromkeys(profile for profile, _ in pairs))}
    batch = CoefficientBatch.of(list(places), [places[profile] for profile, _ in pairs])
    rewards = batch.rewards(*stack_items([item for _, item in pairs]))
    return [Reward(*reward) for reward in zip(rewards.tolist(), batch.scores(rewards).tolist(), strict=True)]
