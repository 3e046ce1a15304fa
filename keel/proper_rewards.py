"""Rewards for trainers that make it pay to be right and to say how sure one is.

* RLCR (Damani et al. 2025): 1[correct] − (q − 1[correct])² for a stated confidence q. For any chance p of being right,
  q = p maximises its expectation p − p(1 − p) − (q − p)², and a larger p always pays more; its values lie in [−1, 1].
  A bounded rule is needed: with log-loss an answer that is surely wrong (p = 0) would earn more than one with p = 0.1.
* PPO-C (Leng et al. 2025): r + w·(r − r̄)·(c − ½): confidence c is worth something only above the average reward r̄.
* Clipping (Gao et al. 2024): min(r − η, 0) bounds a reward from above, so that nothing is won by what a reward model
  overrates. Score whole responses: summed over steps even a bounded reward pays for more steps.

A reward of None, which ``keel_reward`` gives to a response that the gate rejects, stays None.
"""

import math
from collections.abc import Sequence

from keel.errors import InvalidArgument

Rewards = Sequence[float | None]


def correct_brier(correct: Sequence[bool], confidence: Sequence[float]) -> list[float]:
    """1[correct] − (q − 1[correct])² for each answer and its stated ``confidence`` q in [0, 1].

    Raises InvalidArgument for lists of two lengths and for a confidence outside [0, 1].
    """
    _require_confidence(confidence, len(correct))
    return [right - (q - right) ** 2 for right, q in zip(correct, confidence, strict=True)]


def confidence_weighted(
    rewards: Rewards, average: float, confidence: Sequence[float], weight: float
) -> list[float | None]:
    """r + w·(r − r̄)·(c − ½) for ``rewards`` r, their moving ``average`` r̄ and ``confidence`` c in [0, 1].

    ``weight`` w in [0, 2): below 2 a better response never gets less for the same confidence. Raises InvalidArgument
    for another weight, lists of two lengths and a confidence outside [0, 1].
    """
    if not 0 <= weight < 2:
        raise InvalidArgument(f"weight = {weight} must lie in [0, 2); from 2 on better responses could earn less")
    _require_confidence(confidence, len(rewards))
    pairs = zip(rewards, confidence, strict=True)
    return [None if r is None else r + weight * (r - average) * (c - 0.5) for r, c in pairs]


def moving_average(average: float, rewards: Rewards, momentum: float) -> float:
    """r̄ after a batch of ``rewards``: momentum·r̄ + (1 − momentum)·mean, momentum in [0, 1).

    A batch without any reward leaves r̄ as it is.
    """
    if not 0 <= momentum < 1:
        raise InvalidArgument(f"momentum = {momentum} must lie in [0, 1)")
    given = [reward for reward in rewards if reward is not None]
    return momentum * average + (1 - momentum) * math.fsum(given) / len(given) if given else average


def clipped(rewards: Rewards, ceiling: float) -> list[float | None]:
    """min(r − η, 0) for ``rewards`` r and ``ceiling`` η, in one unit; raises InvalidArgument for an infinite η."""
    if not math.isfinite(ceiling):
        raise InvalidArgument(f"ceiling = {ceiling} must be finite")
    return [None if reward is None else min(reward - ceiling, 0.0) for reward in rewards]


def _require_confidence(confidence: Sequence[float], rows: int) -> None:
    if len(confidence) != rows:
        raise InvalidArgument(f"{len(confidence)} confidences for {rows} rows; give one for each row")
    for row, value in enumerate(confidence):
        if not 0 <= value <= 1:
            raise InvalidArgument(f"confidence[{row}] = {value}; a confidence is a chance in [0, 1]")
