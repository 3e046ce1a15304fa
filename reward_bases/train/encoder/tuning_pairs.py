"""Training data of encoder tuning: judgments on pairs of texts, in groups that fit into memory."""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.checks import require_shape
from elicitation.choice import OUTCOMES
from elicitation.errors import InvalidInput

CHARACTERS_AT_ONCE = 16_000


@dataclass(frozen=True, eq=False)
class TuningPairs:
    """N judgments on pairs of texts: ``left``, ``right`` (N,) index ``texts``, ``outcomes`` (N,) index OUTCOMES,
    ``people`` (N,) number the people from 0; all torch.long. Raises InvalidInput for an index out of range.
    """

    texts: tuple[str, ...]
    left: Tensor
    right: Tensor
    outcomes: Tensor
    people: Tensor

    def __post_init__(self) -> None:
        limits = {"left": len(self.texts), "right": len(self.texts), "outcomes": len(OUTCOMES), "people": math.inf}
        for name, limit in limits.items():
            values: Tensor = getattr(self, name)
            require_shape(name, values, (len(self.left),))
            if values.dtype != torch.long or not bool(((values >= 0) & (values < limit)).all()):
                raise InvalidInput(f"{name} holds {values.dtype} outside 0 to {limit}; pass torch.long indices from 0")

    def where(self, rows: Tensor) -> "TuningPairs":
        """The judgments selected by ``rows`` (bool (N,) or indices), on the same texts."""
        return TuningPairs(self.texts, self.left[rows], self.right[rows], self.outcomes[rows], self.people[rows])

    @property
    def wins(self) -> Tensor:
        """(N,) float64: 1 where left was chosen, ½ for same, 0 where right was."""
        return 1 - self.outcomes.double() / 2

    @property
    def sha256(self) -> str:
        columns = torch.stack([self.left, self.right, self.outcomes, self.people])
        return hashlib.sha256(json.dumps(self.texts).encode() + columns.numpy().tobytes()).hexdigest()


def affordable(batch: TuningPairs) -> Iterator[Tensor]:
    """Rows of a batch in groups whose texts, padded, hold at most CHARACTERS_AT_ONCE (or one pair)."""
    lengths = torch.tensor([max(len(batch.texts[a]), len(batch.texts[b])) for a, b in _sides(batch)])
    group: list[int] = []
    for row in lengths.argsort(stable=True).tolist():
        if group and 2 * (len(group) + 1) * int(lengths[row]) > CHARACTERS_AT_ONCE:
            yield torch.tensor(group)
            group = []
        group.append(row)
    yield torch.tensor(group)


def _sides(batch: TuningPairs) -> Iterator[tuple[int, int]]:
    yield from zip(batch.left.tolist(), batch.right.tolist(), strict=True)
