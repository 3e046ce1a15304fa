"""What rows of φ alone say of the heads of a basis: spread, length, and the head that each is most like.

Everything is within prompts, since only responses to one prompt are ever compared: a prompt's mean is taken off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reward_bases.traits.pairs import within_spread

FLAT = 1e-9
"""A spread below it is none, and correlates with nothing."""
LENGTH_SHARE, ALIKE, NARROW = 0.5, 0.95, 0.05


@dataclass(frozen=True)
class HeadCheck:
    """A head on some responses.

    Attributes:
        name: of the head.
        spread: pooled within-prompt standard deviation, in spreads of the reference set.
        length: share of its variance that goes with the logarithm of the number of words, 0 to 1.
        nearest: the head that it correlates with most; None if there is no other.
        correlation: with that head, −1 to 1.
    """

    name: str
    spread: float
    length: float
    nearest: str | None
    correlation: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at; nothing here makes a basis wrong."""
        found = []
        if self.spread < NARROW:
            found.append(f"{self.name} hardly differs between responses to one prompt: {self.spread:.3f} spreads")
        if self.length >= LENGTH_SHARE:
            found.append(
                f"{self.name} is mostly length: {self.length:.0%} of its variance goes with the number of words"
            )
        return tuple(found)


def alike(heads: Sequence[HeadCheck]) -> tuple[str, ...]:
    """What to say of each two heads that are nearly one."""
    pairs = {
        frozenset((head.name, head.nearest)): f"{head.name} and {head.nearest} are nearly one head: correlation "
        f"{head.correlation:.2f}"
        for head in reversed(heads)
        if head.nearest is not None and abs(head.correlation) >= ALIKE
    }
    return tuple(reversed(pairs.values()))


def check_heads(names: Sequence[str], phi: Tensor, words: Tensor) -> tuple[HeadCheck, ...]:
    """Of K heads by φ (P, n, K) of n responses to each of P prompts, which have ``words`` (P, n)."""
    spread = within_spread(phi)
    correlations = _correlations(phi)
    length = _correlations(torch.cat([phi, words.double().log1p()[..., None]], -1))[-1, :-1].square()
    others = correlations.abs().fill_diagonal_(-1)
    found = []
    for place, name in enumerate(names):
        nearest = int(others[place].argmax()) if len(names) > 1 else None
        found.append(
            HeadCheck(
                name=name,
                spread=float(spread[place]),
                length=float(length[place]),
                nearest=None if nearest is None else names[nearest],
                correlation=0.0 if nearest is None else float(correlations[place, nearest]),
            )
        )
    return tuple(found)


def _correlations(values: Tensor) -> Tensor:
    """Within prompts (V, V), of ``values`` (P, n, V); 0 for what is flat."""
    centred = (values - values.mean(1, keepdim=True)).flatten(0, 1)
    length = centred.norm(dim=0)
    unit = torch.where(within_spread(values) > FLAT, centred / length.clamp_min(1e-300), 0.0)
    return unit.T @ unit
