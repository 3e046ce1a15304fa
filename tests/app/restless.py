"""Functions of a deployer's own: one that repeats itself, one that does not, and one that does not know."""

import itertools
from collections.abc import Sequence

TURNS = itertools.count()


def steady(conversations: Sequence[object], responses: Sequence[str]) -> dict[str, list[float]]:
    return {"length": [float(len(said)) for said in responses]}


def restless(conversations: Sequence[object], responses: Sequence[str]) -> dict[str, list[float]]:
    turn = next(TURNS)
    return {"length": [float(len(said) + 10 * turn) for said in responses]}


def ignorant(conversations: Sequence[object], responses: Sequence[str]) -> dict[str, list[float | None]]:
    return {"length": [None if place % 2 else float(len(said)) for place, said in enumerate(responses)]}


for function in (steady, restless, ignorant):
    function.names, function.version = ("length",), "1"  # type: ignore[attr-defined]
