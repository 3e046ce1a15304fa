"""Names of heads learned from people, after their largest correlations, which the card holds in numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reward_bases.basis import Head
from reward_bases.traits.heads import HEADS, TRAITS

COUNTED = 0.8
"""A countable feature names a head only if a trait's correlation is below this share of its own."""
ALIKE = 0.3
"""A head with less correlation resembles nothing that has a name."""
NAMED = tuple(head for head in HEADS if head.name in TRAITS)


@dataclass(frozen=True, eq=False)
class NamedDirections:
    """Directions with names: ``phrases`` (low, high) of each and their ``weights`` (L, F) on features.

    ``plain`` (L,) bool: traits, as opposed to counts.
    """

    names: tuple[str, ...]
    phrases: tuple[tuple[str, str], ...]
    weights: Tensor
    plain: Tensor


@dataclass(frozen=True)
class Resemblance:
    """The named direction with which a head correlates most on the reference."""

    name: str
    correlation: float
    low: str
    high: str

    @property
    def words(self) -> tuple[str, str]:
        """Phrases for low and high answers, in the head's own direction."""
        if abs(self.correlation) < ALIKE:
            return ("like nothing that has a name",) * 2
        ordered = (self.low, self.high) if self.correlation > 0 else (self.high, self.low)
        return (f"mostly {ordered[0]}", f"mostly {ordered[1]}")


def resemblances(heads: Tensor, directions: NamedDirections, reference: Tensor) -> list[Resemblance]:
    """For each of ``heads`` (K, F), over reference features (P, n, F) less their prompt's mean."""
    centred = (reference - reference.mean(1, keepdim=True)).flatten(0, 1)
    own, others = centred @ heads.T, centred @ directions.weights.T
    lengths = own.norm(dim=0)[:, None] * others.norm(dim=0)
    r = (own.T @ others) / lengths.clamp_min(1e-12)
    advantage = torch.where(directions.plain, 1.0, COUNTED).double()
    best = (r.abs() * advantage).argmax(1).tolist()
    return [
        Resemblance(directions.names[j], round(float(r[k, j]), 3), *directions.phrases[j]) for k, j in enumerate(best)
    ]


def heads(
    weights: Tensor, named: int, directions: NamedDirections | None, reference: Tensor | None
) -> tuple[Head, ...]:
    """The heads with ``weights`` (K, F): consensus, the first ``named`` traits, tastes."""
    if directions is None or reference is None:
        found = [Resemblance("nothing", 0.0, "", "")] * len(weights)
    else:
        found = resemblances(weights, directions, reference)
    tastes = found[1 + named :]
    return (_consensus(found[0]), *NAMED[:named], *(_taste(1 + i, one) for i, one in enumerate(tastes)))


def _consensus(resemblance: Resemblance) -> Head:
    return Head(
        "consensus",
        "answers that most people here like less",
        "answers that most people here like",
        "people",
        False,
        f"people: what most people in the data prefer; r = {resemblance.correlation:+.2f} with {resemblance.name}",
    )


def _taste(number: int, resemblance: Resemblance) -> Head:
    low, high = resemblance.words
    return Head(
        f"taste-{number}",
        f"answers low on taste {number} ({low})",
        f"answers high on taste {number} ({high})",
        "people",
        False,
        "people: a direction in which people in the data differ, named after the fact; "
        f"r = {resemblance.correlation:+.2f} with {resemblance.name}",
    )


def surface(names: tuple[str, ...], width: int) -> NamedDirections:
    """Every feature but the encoder's, as something that answers have less or more of."""
    said = [name.removeprefix("log_").replace("_", " ") for name in names]
    weights = torch.eye(width, dtype=torch.float64)[: len(names)]
    return NamedDirections(
        names, tuple((f"low in {name}", f"high in {name}") for name in said), weights, torch.zeros(len(names)).bool()
    )


def joined(first: NamedDirections, second: NamedDirections) -> NamedDirections:
    return NamedDirections(
        first.names + second.names,
        first.phrases + second.phrases,
        torch.cat([first.weights, second.weights]),
        torch.cat([first.plain, second.plain]),
    )
