"""Functions of a deployer's own, as sources and recipes name them."""

from collections.abc import Sequence


def lengths(conversations: Sequence[object], responses: Sequence[str]) -> dict[str, list[float]]:
    return {
        "characters": [float(len(said)) for said in responses],
        "asks": [float(said.count("?")) for said in responses],
    }


lengths.names, lengths.version = ("characters", "asks"), "1"  # type: ignore[attr-defined]


async def slowly(conversations: Sequence[object], responses: Sequence[str]) -> dict[str, list[float]]:
    return lengths(conversations, responses)


slowly.names, slowly.version = ("characters", "asks"), "2"  # type: ignore[attr-defined]


def doubtful(conversations: Sequence[object], responses: Sequence[str]) -> dict[str, list[float | None]]:
    return {"truth": [None if "?" in said else float("nan") if "nan" in said else 1.0 for said in responses]}


doubtful.names, doubtful.version = ("truth",), "1"  # type: ignore[attr-defined]


def short(conversations: Sequence[object], responses: Sequence[str]) -> dict[str, list[float]]:
    return {"truth": [1.0]}


short.names, short.version = ("truth",), "1"  # type: ignore[attr-defined]


def undeclared(conversations: Sequence[object], responses: Sequence[str]) -> dict[str, list[float]]:
    return {"truth": [1.0 for _ in responses]}
