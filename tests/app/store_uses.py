"""Uses of a store and of the model in its place, one after the other or at once."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from store_model import Model, Refusal

from app.errors import KeelError
from app.storage.store import Entry, Person, PersonKey, Store


@dataclass(frozen=True)
class Use:
    """One call of a store, and what the model does in its place."""

    of_store: Callable[[Store], Awaitable[object]]
    of_model: Callable[[Model], Refusal]


async def each(calls: Iterable[Awaitable[Person]]) -> list[Person]:
    return await asyncio.gather(*calls)


async def at_once(calls: Sequence[Awaitable[object]]) -> list[Refusal]:
    """How each call ended."""
    ends = await asyncio.gather(*calls, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException) and not isinstance(end, KeelError):
            raise end
    return [type(end) if isinstance(end, KeelError) else None for end in ends]


def in_some_order(model: Model, uses: Sequence[Use], outcomes: Sequence[Refusal]) -> list[Model]:
    """The models after these uses, for each order in which they have these outcomes."""
    possible = []
    for order in itertools.permutations(range(len(uses))):
        after = model.copy()
        if all(uses[i].of_model(after) is outcomes[i] for i in order):
            possible.append(after)
    return possible


def appending(key: PersonKey, entry: Entry) -> Use:
    return Use(lambda store: store.append(key, entry), lambda model: model.append(key, entry))


def erasing(key: PersonKey) -> Use:
    return Use(lambda store: store.erase(key), lambda model: model.erase(key))


def parts(key: PersonKey) -> tuple[str, str]:
    return key.tenant_id, key.user_id
