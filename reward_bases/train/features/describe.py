"""What heads learned from people are called: after what they resemble most, which the card says in numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reward_bases.basis import Head
from reward_bases.traits.heads import HEADS, TRAITS

COUNTED = 0.8
"""A countable feature names a head only where a trait's correlation is below this share of its own."""
ALIKE = 0.3
"""Correlation below which a head is said to resemble nothing that has a name."""
NAMED = tuple(head for head in HEADS if head.name in TRAITS)


@dataclass(frozen=True, eq=False)
class Known:
    """Things with names: ``phrases`` (low, high) of each, their ``weights`` (L, F) on features, and whether they are
    ``plain`` (L,) traits rather than counts."""

    names: tuple[str, ...]
    phrases: tuple[tuple[str, str], ...]
    weights: Tensor
    plain: Tensor


@dataclass(frozen=True)
class Likeness:
    """What a head correlates with most on the reference."""

    name: str
    correlation: float
    low: str
    high: str

    @property
    def words(self) -> tuple[str, str]:
        """How low and how high answers look, in the head's own direction."""
        if abs(self.correlation) < ALIKE:
            return ("like nothing that has a name",) * 2
        ordered = (self.low, self.high) if self.correlation > 0 else (self.high, self.low)
        return (f"mostly {ordered[0]}", f"mostly {ordered[1]}")


def likenesses(heads: Tensor, known: Known, reference: Tensor) -> list[Likeness]:
    """For each of ``heads`` (K, F), over reference features (P, n, F) less their prompt's mean."""
    centred = (reference - reference.mean(1, keepdim=True)).flatten(0, 1)
    own, others = centred @ heads.T, centred @ known.weights.T
    lengths = own.norm(dim=0)[:, None] * others.norm(dim=0)
    r = (own.T @ others) / lengths.clamp_min(1e-12)
    advantage = torch.where(known.plain, 1.0, COUNTED).double()
    best = (r.abs() * advantage).argmax(1).tolist()
    return [Likeness(known.names[j], round(float(r[k, j]), 3), *known.phrases[j]) for k, j in enumerate(best)]


def heads(weights: Tensor, named: int, known: Known | None, reference: Tensor | None) -> tuple[Head, ...]:
    """The heads with ``weights`` (K, F): consensus, the first ``named`` traits, tastes."""
    if known is None or reference is None:
        found = [Likeness("nothing", 0.0, "", "")] * len(weights)
    else:
        found = likenesses(weights, known, reference)
    tastes = found[1 + named :]
    return (_consensus(found[0]), *NAMED[:named], *(_taste(1 + i, one) for i, one in enumerate(tastes)))


def _consensus(likeness: Likeness) -> Head:
    return Head(
        "consensus",
        "answers that most people here like less",
        "answers that most people here like",
        "people",
        False,
        f"people: what most people in the data prefer; r = {likeness.correlation:+.2f} with {likeness.name}",
    )


def _taste(number: int, likeness: Likeness) -> Head:
    low, high = likeness.words
    return Head(
        f"taste-{number}",
        f"answers low on taste {number} ({low})",
        f"answers high on taste {number} ({high})",
        "people",
        False,
        "people: a direction in which people in the data differ, named after the fact; "
        f"r = {likeness.correlation:+.2f} with {likeness.name}",
    )


def surface(names: tuple[str, ...], width: int) -> Known:
    """Every feature but the encoder's, as something that answers have less or more of."""
    said = [name.removeprefix("log_").replace("_", " ") for name in names]
    weights = torch.eye(width, dtype=torch.float64)[: len(names)]
    return Known(
        names, tuple((f"low in {name}", f"high in {name}") for name in said), weights, torch.zeros(len(names)).bool()
    )


def joined(first: Known, second: Known) -> Known:
    return Known(
        first.names + second.names,
        first.phrases + second.phrases,
        torch.cat([first.weights, second.weights]),
        torch.cat([first.plain, second.plain]),
    )
