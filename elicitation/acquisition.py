"""Which question to ask next: the expected gain of every pair in a pool.

With v the pair's difference, m and C the posterior's moments, I the expected Fisher information of one choice about λᵀv
and, over the served pairs t, s_t the slope of the win probability (p_left + p_same/2) at mᵀv_t:

    iopt   Σ_t s_t²·(v_tᵀCv)²·I/(1 + I·vᵀCv) = vᵀCMCv·I/(1 + I·vᵀCv),  M = Σ_t s_t²·v_t·v_tᵀ
    epig   mean over t of the mutual information between the answer and the answer to the served pair
    dopt   ½·log(1 + I·vᵀCv)
    bald   mutual information between the answer and λ
    eubo   expected utility of the better response of the pair
    random uniform

RULES holds them by name; a further rule is one more entry (docs/extending.md).

epig and bald integrate over the posterior mixture by Gauss–Hermite quadrature; served pairs have no sides, hence no
side bias. Sources: Bickford Smith et al. (2023), Prediction-oriented Bayesian active learning (epig); Houlsby et al.
(2011), eq. 2 (bald); Lin et al. (2022) (eubo).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.choice import ChoiceModel
from elicitation.errors import InvalidInput
from elicitation.laplace import covariance_root
from elicitation.population import Component
from elicitation.posterior import Posterior
from elicitation.predict import NODES, predict, project
from elicitation.quadrature import gauss_hermite

EPIG_CANDIDATES = 500
"""epig is computed for this many pairs, the best by iopt."""
EPIG_TARGETS = 128
"""epig averages over at most this many served pairs, drawn by the generator."""
EPIG_NODES = 12
CHUNK = 8
"""Pairs whose joint answers are computed together: so many stay in the processor's cache."""
MANY = 512
"""Of a larger pool, iopt is computed exactly only where a bound in single precision leaves the best possible."""
ROUNDING = 1e-3
"""More than single precision can put a bound off, as a share of it."""
BLOCK = 8_192
"""Pairs whose bounds are computed together: so many stay in the processor's cache."""


class Rule(StrEnum):
    """How the next question is chosen."""

    IOPT = "iopt"
    EPIG = "epig"
    DOPT = "dopt"
    BALD = "bald"
    EUBO = "eubo"
    RANDOM = "random"


@dataclass(frozen=True)
class Selection:
    """The chosen row of the pool, its gain, and the gain's unit."""

    index: int
    gain: float
    unit: str


def choose(
    rule: str,
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    allowed: Tensor,
    targets: Tensor,
    generator: torch.Generator,
) -> Selection:
    """The pair of ``pool`` (N, K) with the largest gain among those ``allowed`` (N,) bool; the first of equals.

    ``rule`` is a name in RULES. The pool may be kept in single precision, which halves a large one; what decides is
    computed in double. Raises InvalidInput when nothing is allowed.
    """
    require_shape("pool", pool, (None, posterior.k))
    require_shape("allowed", allowed, (len(pool),))
    count = int(allowed.sum())
    if count == 0:
        raise InvalidInput(f"0 of {len(pool)} questions are allowed; extend the question bank or stop asking")
    if rule == Rule.IOPT and count > MANY:
        return _best_of_many(posterior, model, pool, allowed, targets)
    open_rows = allowed.nonzero().squeeze(-1)
    values = gains(rule, posterior, model, pool[open_rows].double(), targets, generator)
    best = int(values.argmax())
    return Selection(int(open_rows[best]), float(values[best]), acquisition(rule).unit)


def _best_of_many(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, allowed: Tensor, targets: Tensor
) -> Selection:
    """The best by iopt: the pair with the highest bound sets a floor, and only pairs whose bounds reach it compete."""
    require_shape("targets", targets, (None, posterior.k))
    require_finite("targets", targets)
    axes = Axes.of(posterior.covariance, served_moment(posterior, model, targets))

    def exact(rows: Tensor) -> Tensor:
        pairs = pool[rows].double()
        return gain(axes.reach(pairs), question_information(posterior, model, pairs))

    bounds = _bounds(posterior, model, pool, axes.to(torch.float32)).masked_fill_(~allowed, -torch.inf)
    highest = bounds.argmax()[None]
    if not bool(bounds[highest].isfinite()):
        require_finite("pool", pool)
        bounds.nan_to_num_(nan=torch.inf)
    floor = min(float(exact(highest)) * (1 - ROUNDING), float(bounds[highest]))
    rows = (bounds >= floor).nonzero().squeeze(-1)
    values = exact(rows)
    best = int(values.argmax())
    return Selection(int(rows[best]), float(values[best]), RULES[Rule.IOPT].unit)


def _bounds(posterior: Posterior, model: ChoiceModel, pool: Tensor, axes: "Axes") -> Tensor:
    """At least iopt (N,), but for rounding, in the precision of the ``axes``."""
    mean = posterior.mean.to(axes.turn.dtype)

    def bound(rows: Tensor) -> Tensor:
        information = model.information_bound(rows @ mean + model.side_bias, posterior.consistency)
        return gain(axes.reach(rows), information)

    return torch.cat([bound(block.to(axes.turn.dtype)) for block in pool.split(BLOCK)])


def gains(
    rule: str,
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    targets: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Gain (N,) of every pair in ``pool`` (N, K) given the served pairs ``targets`` (T, K), in RULES[rule].unit.

    The generator draws the random rule's gains and epig's sample of targets. Raises InvalidInput for unusable tensors.
    """
    for name, rows in (("pool", pool), ("targets", targets)):
        require_shape(name, rows, (None, posterior.k))
        require_finite(name, rows)
    return acquisition(rule).gains(posterior, model, pool, targets, generator)


def question_information(posterior: Posterior, model: ChoiceModel, pool: Tensor) -> Tensor:
    """I (N,): expected Fisher information of one choice about λᵀv at the posterior mean, per nat²."""
    return model.information(pool @ posterior.mean + model.side_bias, posterior.consistency)


def served_moment(posterior: Posterior, model: ChoiceModel, targets: Tensor) -> Tensor:
    """M (K, K) of the served pairs ``targets`` (T, K)."""
    weighted = model.win_slope(targets @ posterior.mean, posterior.consistency)[:, None] * targets
    return weighted.T @ weighted


@dataclass(frozen=True, eq=False)
class Outlook:
    """Input of iopt besides the covariance: ``pool`` (N, K), its ``information`` (N,), ``served`` = M (K, K)."""

    pool: Tensor
    information: Tensor
    served: Tensor

    @classmethod
    def of(cls, posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor) -> "Outlook":
        information = question_information(posterior, model, pool)
        return cls(pool, information, served_moment(posterior, model, targets))


def variance_reduction(outlook: Outlook, covariance: Tensor) -> Tensor:
    """iopt (N,): expected fall of the summed variance of served win probabilities, probability²."""
    return gain(Axes.of(covariance, outlook.served).reach(outlook.pool), outlook.information)


@dataclass(frozen=True, eq=False)
class Axes:
    """Axes x = ``turn``ᵀv in which vᵀCv is |x|² and vᵀCMCv is Σ_j weights_j·x_j²: (K, K) and the two forms' (2, K)."""

    turn: Tensor
    forms: Tensor

    @classmethod
    def of(cls, covariance: Tensor, served: Tensor) -> "Axes":
        root = covariance_root(covariance)
        weights, rotation = torch.linalg.eigh(root.T @ served @ root)
        return cls(root @ rotation, torch.stack([torch.ones_like(weights), weights.clamp_min(0)]))

    def to(self, dtype: torch.dtype) -> "Axes":
        return Axes(self.turn.to(dtype), self.forms.to(dtype))

    def reach(self, pool: Tensor) -> Tensor:
        """vᵀCv and vᵀCMCv of pairs (N, K): (2, N)."""
        return self.forms @ (pool @ self.turn).square_().T


def gain(reach: Tensor, information: Tensor) -> Tensor:
    """iopt (N,) of pairs with that ``reach`` (2, N) whose answers have ``information`` (N,)."""
    spread, reached = reach
    value: Tensor = reached * information / (1 + information * spread)
    return value


def _entropy(p: Tensor) -> Tensor:
    """Entropy over the last dimension, nats."""
    entropy: Tensor = torch.special.entr(p).sum(-1)
    return entropy


def _iopt(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> Tensor:
    return variance_reduction(Outlook.of(posterior, model, pool, targets), posterior.covariance)


def _dopt(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> Tensor:
    spread = (pool @ covariance_root(posterior.covariance)).square().sum(1)
    return torch.log1p(question_information(posterior, model, pool) * spread) / 2


def _eubo(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> Tensor:
    # BoTorch takes a second to import; only this rule needs it.
    from elicitation.botorch_model import expected_utility_of_best

    return expected_utility_of_best(posterior, pool)


def _random(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> Tensor:
    return torch.rand(len(pool), generator=generator, dtype=torch.float64)


def _bald(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> Tensor:
    x, w = gauss_hermite(NODES)
    conditional = torch.zeros(len(pool), dtype=torch.float64)
    for component in posterior.components:
        mean, std = project(component, pool)
        z = mean[:, None] + std[:, None] * x + model.side_bias
        conditional += component.weight * (_entropy(model.probabilities(z, posterior.consistency)) @ w)
    return (_entropy(predict(posterior, model, pool)) - conditional).clamp_min(0)


def _epig_of_best(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor, generator: torch.Generator
) -> Tensor:
    iopt = variance_reduction(Outlook.of(posterior, model, pool, targets), posterior.covariance)
    best = iopt.topk(min(EPIG_CANDIDATES, len(pool))).indices
    if len(targets) > EPIG_TARGETS:
        targets = targets[torch.randperm(len(targets), generator=generator)[:EPIG_TARGETS]]
    values = torch.full((len(pool),), -torch.inf, dtype=torch.float64)
    for first in range(0, len(best), CHUNK):
        rows = best[first : first + CHUNK]
        values[rows] = _epig(posterior, model, pool[rows], targets)
    return values


def _epig(posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor) -> Tensor:
    """Mean over targets (T, K) of the mutual information of the two answers, nats (N,)."""
    joint = torch.zeros(len(pool), len(targets), 3, 3, dtype=torch.float64)
    for component in posterior.components:
        joint += component.weight * _joint_answers(component, model, posterior.consistency, pool, targets)
    apart = _entropy(joint.sum(3)) + _entropy(joint.sum(2))
    return (apart - _entropy(joint.flatten(2))).mean(1)


def _joint_answers(
    component: Component, model: ChoiceModel, consistency: float, pool: Tensor, targets: Tensor
) -> Tensor:
    """p(answer to the question, answer to the served pair) under one Gaussian: (N, T, 3, 3).

    The served utility is drawn given the question's, so that perfect correlation needs no special case.
    """
    x, w = gauss_hermite(EPIG_NODES)
    mean, std = project(component, pool)
    target_mean, target_std = project(component, targets)
    shared = (pool @ component.covariance @ targets.T) / std.clamp_min(1e-150)[:, None]
    alone = (target_std**2 - shared**2).clamp_min(0).sqrt()
    asked = model.probabilities(mean[:, None] + std[:, None] * x + model.side_bias, consistency)
    z = target_mean[:, None, None] + shared[..., None, None] * x[:, None] + alone[..., None, None] * x
    served = model.expected(z, w, consistency)
    return torch.einsum("i,nia,ntib->ntab", w, asked, served)


Gains = Callable[[Posterior, ChoiceModel, Tensor, Tensor, torch.Generator], Tensor]
"""Posterior, choice model, pool (N, K), served pairs (T, K) and generator → gains (N,)."""


@dataclass(frozen=True)
class Acquisition:
    """A rule: the gain of every pair, and its unit."""

    gains: Gains
    unit: str


RULES: dict[str, Acquisition] = {
    Rule.IOPT: Acquisition(_iopt, "probability², summed over served pairs"),
    Rule.EPIG: Acquisition(_epig_of_best, "nats"),
    Rule.DOPT: Acquisition(_dopt, "nats"),
    Rule.BALD: Acquisition(_bald, "nats"),
    Rule.EUBO: Acquisition(_eubo, "nats of utility"),
    Rule.RANDOM: Acquisition(_random, "none"),
}


def acquisition(name: str) -> Acquisition:
    """The rule of that name; raises InvalidInput where there is none."""
    if name not in RULES:
        raise InvalidInput(f"rule {name!r} is not one of {', '.join(RULES)}")
    return RULES[name]
