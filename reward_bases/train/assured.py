"""How strong a population may be: as strong as people held out support, and as reading answers is seen to help.

People may differ within a prompt (in their stance, say) and yet in nothing that lasts to the next, and then answers
that move rewards make them worse than the aggregate.
"""

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from elicitation.empirical import scaled
from reward_bases.train.development import Development
from reward_bases.train.learn import Learned

STRENGTHS = (0.01, 0.03, 0.1, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Weakest first."""
ASSURED = 2.0
"""Standard errors over people by which reading their answers must improve the prediction of the others."""

Memory = MutableMapping[str, float]
"""Scores (log-likelihood, nats) by what was scored, in the order of trying."""


def assured_strength(parts: Sequence[Development], learned: Callable[[], list[Learned]], memory: Memory) -> float:
    """The best strength, lowered until answers help; the weakest where they never do.

    They help where reading them predicts people better than not reading them, by ASSURED standard errors of the gain
    per judgment, whose error is taken over people: one who judged a thousand times is one witness.
    """
    judgments = torch.cat([part.judgments() for part in parts])

    def sums(development: Callable[[Development], Development], strength: float) -> Tensor:
        stronger = (replace(one, population=scaled(one.population, strength)) for one in learned())
        return torch.cat([development(p).log_likelihoods(one) for p, one in zip(parts, stronger, strict=True)])

    for strength in STRENGTHS:
        if f"strength {strength}" not in memory:
            read = sums(lambda part: part, strength)
            memory[f"strength {strength}"] = float(read.sum())
            gained = standard_errors(read - sums(Development.unread, strength), judgments)
            memory[f"strength {strength}, standard errors gained"] = gained
    best = max(STRENGTHS, key=lambda strength: memory[f"strength {strength}"])
    helps = [s for s in STRENGTHS if s <= best and memory[f"strength {s}, standard errors gained"] >= ASSURED]
    return max(helps, default=STRENGTHS[0])


def standard_errors(gains: Tensor, judgments: Tensor) -> float:
    """By how many of its standard errors Σ gains (P,) / Σ judgments (P,) is above 0, whoever were left out of it.

    The error is the jackknife's over people (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982).
    """
    rate = gains.sum() / judgments.sum().clamp_min(1)
    without = (gains.sum() - gains) / (judgments.sum() - judgments).clamp_min(1)
    return float(rate / (without - rate).square().sum().sqrt().clamp_min(1e-12))
