"""What a recipe says, checked: sources, heads, reference, bank and population of a basis that is to be built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SourceRecipe:
    """The source ``name`` of a ``kind``, with the ``settings`` of that kind."""

    name: str
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HeadRecipe:
    """A base reward: the sum of ``columns`` times their weights, standardised on the reference set.

    Attributes:
        name: of the head.
        columns: full name of a column ("rm.helpful") -> its weight.
        low: completes "You prefer … answers" for little of it.
        high: the same for much of it.
        protected: whether it is never personalised.
        aggregate: its coefficient in λ̄, nats per spread.
        std: standard deviation of people's coefficients, nats per spread, until people have answered.
    """

    name: str
    columns: Mapping[str, float]
    low: str
    high: str
    protected: bool = False
    aggregate: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """What a basis is built from; paths are resolved.

    Attributes:
        include: ``default`` or the folder of the basis whose heads and population are kept; None for neither: text,
            encoder, bank and choice model are then those of the shipped basis.
        reference: JSONL file of prompts with responses, on which heads are standardised and bounds certified; None for
            the answers of the bank.
        bank: bank file of questions; None for that of ``include``.
        sources: the new ones, in the order of the file.
        heads: the new ones, in the order of the file.
    """

    include: str | None
    reference: Path | None
    bank: Path | None
    sources: tuple[SourceRecipe, ...]
    heads: tuple[HeadRecipe, ...]
