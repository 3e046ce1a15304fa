"""What items are worth to people: constant within a profile version, so it is computed once and remembered."""

from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from app.cache import LruCache
from app.profiles.profiles import Profile
from app.scoring.engine import Item
from app.scoring.table import Table, stacked

ITEMS_PER_PROFILE = 1_024


class Worth(NamedTuple):
    """A reward in nats and its score in 0–1."""

    reward: float
    score: float


class Worths:
    """Belongs to the event loop; what a profile remembers goes with it."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Profile, LruCache[Item, Worth]] = WeakKeyDictionary()

    def of(self, profiles: Sequence[Profile], items: Sequence[Item]) -> list[Worth]:
        """The worth of each item to the profile in the same place."""
        pairs = list(zip(profiles, items, strict=True))
        worths = {pair: self._of(pair[0]).get(pair[1]) for pair in pairs}
        missing = [pair for pair, worth in worths.items() if worth is None]
        fresh = dict(zip(missing, _computed(missing), strict=True)) if missing else {}
        for (profile, item), worth in fresh.items():
            self._of(profile).put(item, worth)
        return [worths[pair] or fresh[pair] for pair in pairs]

    def _of(self, profile: Profile) -> LruCache[Item, Worth]:
        known = self._known.get(profile)
        if known is None:
            known = self._known[profile] = LruCache(ITEMS_PER_PROFILE)
        return known


def _computed(pairs: Sequence[tuple[Profile, Item]]) -> list[Worth]:
    places = {profile: place for place, profile in enumerate(dict.fromkeys(profile for profile, _ in pairs))}
    table = Table.of(list(places), [places[profile] for profile, _ in pairs])
    rewards = table.rewards(*stacked([item for _, item in pairs]))
    return [Worth(*worth) for worth in zip(rewards.tolist(), table.scores(rewards).tolist(), strict=True)]
