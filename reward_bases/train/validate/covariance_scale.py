"""The scale of a population's covariance: as large as people's answers are seen to help.

People may differ within a prompt (in their stance, say) and yet in nothing that lasts to the next prompt. Answers that
move rewards then make them worse than the aggregate.
"""

from collections.abc import Callable, MutableMapping, Sequence

import torch
from torch import Tensor

from reward_bases.train.model.learn import Learned
from reward_bases.train.validate.inner_fold import InnerFold

COVARIANCE_SCALES = (0.01, 0.03, 0.1, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0)
"""In rising order."""
MIN_Z = 2.0
"""Standard errors over people by which observing their answers must improve the prediction of their other ones."""
MIN_GAIN = 5e-3
"""The gain that observed answers must bring, nats per judgment.

On the splits on which it was chosen, votes of real people gained three to nineteen times as much. Judgments given to
other people at random gained a fiftieth. MIN_Z alone would not do: a gain by chance can be small and yet certain.
"""

Memory = MutableMapping[str, float]
"""Results, nats, by the name of what was measured, in the order of trying."""


def supported_covariance_scale(
    parts: Sequence[InnerFold], learned: Callable[[], Sequence[Learned]], largest: float, memory: Memory
) -> float:
    """The largest of COVARIANCE_SCALES, at most ``largest``, at which answers help; the smallest if they never do.

    Answers help if observing them improves the prediction by MIN_GAIN and by MIN_Z standard errors. The errors are
    taken over people: somebody who judged a thousand times is one witness.
    """
    judgments = torch.cat([part.judgments() for part in parts])
    for scale in reversed([each for each in COVARIANCE_SCALES if each <= largest]):
        gained, errors = (f"strength {scale}, {what}" for what in ("gained per judgment", "standard errors gained"))
        if errors not in memory:
            gains = torch.cat([_gains(part, one, scale) for part, one in zip(parts, learned(), strict=True)])
            memory[gained] = float(gains.sum() / judgments.sum().clamp_min(1))
            memory[errors] = z_score(gains, judgments)
        if memory[gained] >= MIN_GAIN and memory[errors] >= MIN_Z:
            return scale
    return COVARIANCE_SCALES[0]


def _gains(part: InnerFold, learned: Learned, scale: float) -> Tensor:
    """Log-likelihood (P,), nats, that each person's observed answers add to the prediction of their other ones."""
    return (part.log_likelihoods(learned, [scale]) - part.without_answers().log_likelihoods(learned, [scale]))[0]


def z_score(gains: Tensor, judgments: Tensor) -> float:
    """How many of its standard errors the rate Σ gains (P,) / Σ judgments (P,) lies above 0.

    The error is the jackknife's over people (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982).
    """
    rate = gains.sum() / judgments.sum().clamp_min(1)
    without = (gains.sum() - gains) / (judgments.sum() - judgments).clamp_min(1)
    return float(rate / (without - rate).square().sum().sqrt().clamp_min(1e-12))
