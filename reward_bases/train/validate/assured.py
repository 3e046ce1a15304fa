"""How strong a population may be: as strong as reading people's answers is seen to help.

People may differ within a prompt (in their stance, say) and yet in nothing that lasts to the next, and then answers
that move rewards make them worse than the aggregate.
"""

from collections.abc import Callable, MutableMapping, Sequence

import torch
from torch import Tensor

from reward_bases.train.model.learn import Learned
from reward_bases.train.validate.development import Development

STRENGTHS = (0.01, 0.03, 0.1, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Weakest first."""
ASSURED = 2.0
"""Standard errors over people by which reading their answers must improve the prediction of the others."""
WORTH = 5e-3
"""Nats per judgment that it must gain. On the splits on which this was chosen, votes of real people gained three to
nineteen times as much, heads learned from judgments dealt out to other people a fiftieth: chance can be sure of little.
"""

Memory = MutableMapping[str, float]
"""Scores, nats, by what was scored, in the order of trying."""


def assured_strength(
    parts: Sequence[Development], learned: Callable[[], Sequence[Learned]], strongest: float, memory: Memory
) -> float:
    """The largest of STRENGTHS, at most the ``strongest``, at which answers help; the weakest where they never do.

    They help where reading them predicts people better than not reading them, by WORTH and by ASSURED standard errors,
    which are taken over people: one who judged a thousand times is one witness.
    """
    judgments = torch.cat([part.judgments() for part in parts])
    for strength in reversed([each for each in STRENGTHS if each <= strongest]):
        gained, errors = (f"strength {strength}, {what}" for what in ("gained per judgment", "standard errors gained"))
        if errors not in memory:
            gains = torch.cat([_gains(part, one, strength) for part, one in zip(parts, learned(), strict=True)])
            memory[gained] = float(gains.sum() / judgments.sum().clamp_min(1))
            memory[errors] = standard_errors(gains, judgments)
        if memory[gained] >= WORTH and memory[errors] >= ASSURED:
            return strength
    return STRENGTHS[0]


def _gains(part: Development, learned: Learned, strength: float) -> Tensor:
    """What reading everybody's answers adds to the log-likelihood of their other judgments (P,), nats."""
    return (part.log_likelihoods(learned, [strength]) - part.unread().log_likelihoods(learned, [strength]))[0]


def standard_errors(gains: Tensor, judgments: Tensor) -> float:
    """By how many of its standard errors Σ gains (P,) / Σ judgments (P,) is above 0, whoever were left out of it.

    The error is the jackknife's over people (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982).
    """
    rate = gains.sum() / judgments.sum().clamp_min(1)
    without = (gains.sum() - gains) / (judgments.sum() - judgments).clamp_min(1)
    return float(rate / (without - rate).square().sum().sqrt().clamp_min(1e-12))
