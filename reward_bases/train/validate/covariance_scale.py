"""The scale of a population's covariance: that at which people's answers are surely seen to help.

People may differ within a prompt (in their stance, say) and yet in nothing that lasts to the next prompt. Answers that
move rewards then make them worse than the aggregate.
"""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reward_bases.train.validate.inner_fold import InnerFold

COVARIANCE_SCALES = (0.01, 0.03, 0.1, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0)
"""In rising order."""
MIN_GAIN = 1e-3
"""What a scale must gain beyond one standard error, nats per judgment."""

ENDLESS = 1e12
"""A variance, nats², of which nothing can be sure; a number that JSON has."""

Memory = MutableMapping[str, float]
"""Results, nats, by the name of what was measured, in the order of trying."""


@dataclass(frozen=True, eq=False)
class Gains:
    """Log-likelihood gained (S, N), nats, by each of S scales in judgments of ``people`` about ``prompts`` (N,)."""

    each: Tensor
    people: Tensor
    prompts: Tensor

    @classmethod
    def of(cls, each: Tensor, parts: Sequence[InnerFold]) -> "Gains":
        """In the judgments that the ``parts`` hold out, one part after another; nobody is in two."""
        sizes = torch.tensor([0, *(part.draws[0].observed.size for part in parts)]).cumsum(0)
        people = torch.cat([part.people + first for part, first in zip(parts, sizes, strict=False)])
        return cls(each, people, torch.cat([part.prompts for part in parts]))

    @property
    def rates(self) -> Tensor:
        """Nats per judgment (S,)."""
        return self.each.mean(1)

    @property
    def errors(self) -> Tensor:
        """Standard errors of the rates (S,), over people and prompts at once.

        The variance is that over people, plus that over prompts, less that over pairs of both; at least the larger of
        the first two. Somebody who judged a thousand times is one witness, and so is a prompt.

        Source: Cameron, Gelbach and Miller, Robust inference with multiway clustering (2011), eq. 2.11.
        """
        both = torch.unique(torch.stack([self.people, self.prompts], 1), dim=0, return_inverse=True)[1]
        people, prompts, pairs = (self._variance(of) for of in (self.people, self.prompts, both))
        return torch.maximum(people + prompts - pairs, torch.maximum(people, prompts)).sqrt()

    def _variance(self, clusters: Tensor) -> Tensor:
        """Of the rates (S,), if ``clusters`` (N,) are the witnesses; endless for a single one."""
        _, number = clusters.unique(return_inverse=True)
        count = int(number.max()) + 1
        if count == 1:
            return torch.full_like(self.rates, ENDLESS)
        apart = self.each - self.rates[:, None]
        summed = torch.zeros(len(self.each), count, dtype=torch.float64).index_add(1, number, apart)
        spread: Tensor = summed.square().sum(1) / self.each.shape[1] ** 2
        return spread * count / (count - 1)


def remember(gains: Gains, name: str, memory: Memory) -> None:
    """Keep in ``memory``, under ``name``, what each of COVARIANCE_SCALES gained."""
    for scale, rate, error in zip(COVARIANCE_SCALES, gains.rates.tolist(), gains.errors.tolist(), strict=True):
        memory[f"{name} {scale}, gained per judgment"] = rate
        memory[f"{name} {scale}, standard error"] = error


def surest_scale(name: str, memory: Memory) -> float | None:
    """Of the COVARIANCE_SCALES that gain more than MIN_GAIN and one standard error, that which gains most; or None.

    ``memory`` has what each gained under ``name``.
    """
    rates = {scale: memory[f"{name} {scale}, gained per judgment"] for scale in COVARIANCE_SCALES}
    sure = [scale for scale, rate in rates.items() if rate - memory[f"{name} {scale}, standard error"] > MIN_GAIN]
    return max(sure, key=lambda scale: rates[scale], default=None)
