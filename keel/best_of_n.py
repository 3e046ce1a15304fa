"""Best-of-n from rewards: curves, extrapolation from few rollouts, and training rows from candidates.

**Curve.** From N rewards the expected best of n ≤ N drawn without order is estimated without bias by
Σ_i C(i−1, n−1)/C(N, n)·r_(i), r_(1) ≤ … ≤ r_(N).

**Extrapolation** to n ≫ m rollouts (tail-extrapolated estimates, TEA; derived here, not taken from a paper). Any reward
is r = g(X), X of a base distribution and g increasing. *Assumption*: above the (m − t)-th of the m order statistics, g
is a polynomial of degree d in a standard normal X (the default: sums of many features, as these rewards are) or in a
standard exponential X. With normalised spacings D_k = (m − k + 1)(r_(k) − r_(k−1)) the estimate is

    r_(m−t) + Σ_{k > m−t} v_k D_k,

where v cancels the bias in every power X^j, j = 1 … d: with X_(k:m) the k-th smallest of m,

    Σ_k v_k (m − k + 1)(E X_(k:m)^j − E X_(k−1:m)^j) = E X_(n:n)^j − E X_(m−t:m)^j,

and of all such v it is the shortest. For an exponential tail and d = 1 that has the least variance of all (the D_k are
then independent with one variance, Rényi 1953) and is Weissman's estimator r_(m−t) + mean(D)·(H_n − H_m + H_t), H the
harmonic numbers. What is left is the bias of the powers above d: the estimate removes bias, not noise, so average it
over prompts; degree 2 leaves less bias and about half again as much noise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from statistics import NormalDist
from typing import Any, Literal

from keel.calls import Text
from keel.client import Client
from keel.errors import InvalidArgument

Tail = Literal["normal", "exponential"]
DEGREES = (1, 2)


def curve(rewards: Sequence[float]) -> list[float]:
    """Unbiased estimates of the expected best of n = 1 … N of N rewards, in their unit."""
    ordered, total = sorted(rewards), len(rewards)
    if not ordered:
        raise InvalidArgument("0 rewards have no best; give at least one")
    return [
        sum(math.comb(i, n - 1) * reward for i, reward in enumerate(ordered)) / math.comb(total, n)
        for n in range(1, total + 1)
    ]


def kl_bound(n: int) -> float:
    """Largest KL divergence, in nats, of best-of-n from the policy it samples: ln n − (n − 1)/n."""
    return math.log(n) - (n - 1) / n


def extrapolated(
    rewards: Sequence[float], n: int, top: int | None = None, degree: int = 1, tail: Tail = "normal"
) -> float:
    """Estimated expected best of ``n`` from few rewards, in their unit, by the tail above all but the ``top`` ones.

    ``top`` t is half of the rewards by default. Raises InvalidArgument unless degree is 1 or 2 and degree ≤ t < m.
    """
    m = len(rewards)
    top = m // 2 if top is None else top
    if degree not in DEGREES or not degree <= top < m:
        raise InvalidArgument(
            f"{m} rewards, top {top}, degree {degree}; take degree 1 or 2 and degree <= top < rewards"
        )
    ordered = sorted(rewards)
    spacings = [(m - k + 1) * (ordered[k - 1] - ordered[k - 2]) for k in range(m - top + 1, m + 1)]
    return ordered[m - top - 1] + _dot(_weights(m, n, top, degree, tail), spacings)


@lru_cache
def _weights(m: int, n: int, top: int, degree: int, tail: Tail) -> tuple[float, ...]:
    """The shortest v (top,) that cancels the first ``degree`` moments."""
    moment, ranks = MOMENTS[tail], range(m - top + 1, m + 1)
    rows = [[(m - k + 1) * (moment(k, m, j) - moment(k - 1, m, j)) for k in ranks] for j in range(1, degree + 1)]
    targets = [moment(n, n, j) - moment(m - top, m, j) for j in range(1, degree + 1)]
    first = rows[0]
    if degree == 1:
        return tuple(targets[0] / _dot(first, first) * a for a in first)
    second = rows[1]
    aa, ab, bb = _dot(first, first), _dot(first, second), _dot(second, second)
    x = (bb * targets[0] - ab * targets[1]) / (aa * bb - ab * ab)
    y = (aa * targets[1] - ab * targets[0]) / (aa * bb - ab * ab)
    return tuple(x * a + y * b for a, b in zip(first, second, strict=True))


def _exponential_moment(k: int, m: int, power: int) -> float:
    """E X_(k:m)^power, power 1 or 2: the order statistic is a sum of independent exponentials."""
    rates = range(m - k + 1, m + 1)
    mean = math.fsum(1 / rate for rate in rates)
    return mean if power == 1 else mean**2 + math.fsum(1 / rate**2 for rate in rates)


def _normal_moment(k: int, m: int, power: int) -> float:
    """E X_(k:m)^power by the trapezoidal rule, which is exact to rounding for a smooth density on the whole line."""
    constant = math.lgamma(m + 1) - math.lgamma(k) - math.lgamma(m - k + 1)
    return STEP * math.fsum(
        x**power * math.exp(constant + (k - 1) * below + (m - k) * above + density) for x, below, above, density in GRID
    )


def _grid() -> list[tuple[float, float, float, float]]:
    """Points of the normal line with log P(X < x), log P(X > x) and the log density."""
    normal, points = NormalDist(), (i * STEP for i in range(-round(REACH / STEP), round(REACH / STEP) + 1))
    return [(x, math.log(normal.cdf(x)), math.log(normal.cdf(-x)), math.log(normal.pdf(x))) for x in points]


STEP, REACH = 0.05, 8.0
GRID = _grid()
MOMENTS: dict[Tail, Callable[[int, int, int], float]] = {"normal": _normal_moment, "exponential": _exponential_moment}


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(map(mul, a, b))


@dataclass(frozen=True)
class Pick:
    """The best and the worst of one prompt's candidates, by a person's reward in nats."""

    prompt: Text
    best: str
    worst: str
    reward: float
    margin: float

    def completion(self) -> dict[str, Any]:
        """A row for best-of-n fine-tuning and expert iteration (TRL's SFTTrainer)."""
        return {"prompt": _messages(self.prompt), "completion": _said(self.best), "reward": self.reward}

    def preference(self) -> dict[str, Any]:
        """A row for preference training (TRL's DPOTrainer)."""
        pair = {"chosen": _said(self.best), "rejected": _said(self.worst)}
        return {"prompt": _messages(self.prompt), **pair, "margin": self.margin}


def pick(client: Client, prompt: Text, candidates: Sequence[str], **options: Any) -> Pick | None:
    """Best and worst of the candidates that the gate lets through; ``options`` as in ``Client.score``.

    None when fewer than two are left or all are worth the same: such a prompt teaches nothing.
    """
    scores = client.score([prompt] * len(candidates), candidates, detail=True, **options)
    passed = zip(scores.rewards, candidates, scores.details or (), strict=True)
    worth = sorted((reward, text) for reward, text, detail in passed if detail.gate.passed)
    if len(worth) < 2 or worth[0][0] == worth[-1][0]:
        return None
    (low, worst), (high, best) = worth[0], worth[-1]
    return Pick(prompt, best, worst, high, high - low)


def _messages(prompt: Text) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(turn) for turn in prompt]


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
