"""Which question to ask next: the expected gain of every pair in a pool.

With v the pair's difference, m and C the posterior's moments, I the expected Fisher information of one choice about λᵀv
and, over the served pairs t, s_t the slope of the win probability (p_left + p_same/2) at mᵀv_t:

    iopt   Σ_t s_t²·(v_tᵀCv)²·I/(1 + I·vᵀCv) = vᵀCMCv·I/(1 + I·vᵀCv),  M = Σ_t s_t²·v_t·v_tᵀ
    epig   mean over t of the mutual information between the answer and the answer to the served pair
    dopt   ½·log(1 + I·vᵀCv)
    bald   mutual information between the answer and λ
    eubo   expected utility of the better response of the pair
    random uniform

epig and bald integrate over the posterior mixture by Gauss–Hermite quadrature; served pairs have no sides, hence no
side bias. Sources: Bickford Smith et al. (2023), Prediction-oriented Bayesian active learning (epig); Houlsby et al.
(2011), eq. 2 (bald); Lin et al. (2022) (eubo).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.choice import ChoiceModel
from elicitation.errors import InvalidInput
from elicitation.population import Component
from elicitation.posterior import Posterior, covariance_root
from elicitation.predict import NODES, predict, project
from elicitation.quadrature import gauss_hermite

EPIG_CANDIDATES = 500
"""epig is computed for this many pairs, the best by iopt."""
EPIG_TARGETS = 128
"""epig averages over at most this many served pairs, drawn by the generator."""
EPIG_NODES = 12
CHUNK = 64
SHORTLIST = 512
"""Of a larger pool, iopt is computed exactly for so many pairs at first, those with the highest bounds."""
ROUNDING = 1e-3
"""More than single precision can put a bound off, as a share of it."""
BLOCK = 4_096
"""Pairs whose bounds are computed together: so many stay in the processor's cache."""


class Rule(StrEnum):
    """How the next question is chosen."""

    IOPT = "iopt"
    EPIG = "epig"
    DOPT = "dopt"
    BALD = "bald"
    EUBO = "eubo"
    RANDOM = "random"


UNITS: dict[Rule, str] = {
    Rule.IOPT: "probability², summed over served pairs",
    Rule.EPIG: "nats",
    Rule.DOPT: "nats",
    Rule.BALD: "nats",
    Rule.EUBO: "nats of utility",
    Rule.RANDOM: "none",
}


@dataclass(frozen=True)
class Selection:
    """The chosen row of the pool, its gain, and the gain's unit."""

    index: int
    gain: float
    unit: str


def choose(
    rule: Rule,
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    allowed: Tensor,
    targets: Tensor,
    generator: torch.Generator,
) -> Selection:
    """The pair of ``pool`` (N, K) with the largest gain among those ``allowed`` (N,) bool; the first of equals.

    Raises InvalidInput when nothing is allowed.
    """
    require_shape("pool", pool, (None, posterior.k))
    require_shape("allowed", allowed, (len(pool),))
    count = int(allowed.sum())
    if count == 0:
        raise InvalidInput(f"0 of {len(pool)} questions are allowed; extend the question bank or stop asking")
    if rule is Rule.IOPT and count > SHORTLIST:
        return _best_of_many(posterior, model, pool, allowed, targets)
    open_rows = allowed.nonzero().squeeze(-1)
    values = gains(rule, posterior, model, pool[open_rows], targets, generator)
    best = int(values.argmax())
    return Selection(int(open_rows[best]), float(values[best]), UNITS[rule])


def _best_of_many(
    posterior: Posterior, model: ChoiceModel, pool: Tensor, allowed: Tensor, targets: Tensor
) -> Selection:
    """The best by iopt, computed exactly only where a bound in single precision leaves it possible."""
    require_shape("targets", targets, (None, posterior.k))
    require_finite("targets", targets)
    axes = Axes.of(posterior.covariance, served_moment(posterior, model, targets))
    screen, narrow = axes.to(torch.float32), torch.empty(BLOCK, posterior.k)
    blocks = (narrow[: len(block)].copy_(block) for block in pool.split(BLOCK))
    bounds = torch.cat([_bound(posterior, model, block, screen) for block in blocks])
    bounds.masked_fill_(~allowed, -torch.inf)
    size = SHORTLIST
    while True:
        likely = bounds.topk(min(size, int(allowed.sum())))
        if not bool(likely.values[0].isfinite()):
            require_finite("pool", pool)
        rows = likely.indices.sort().values
        information = question_information(posterior, model, pool[rows])
        values = axes.gain(pool[rows], information)
        best = int(values.argmax())
        if len(rows) < size or values[best] >= likely.values[-1] * (1 + ROUNDING):
            return Selection(int(rows[best]), float(values[best]), UNITS[Rule.IOPT])
        size *= 8


def _bound(posterior: Posterior, model: ChoiceModel, pool: Tensor, axes: "Axes") -> Tensor:
    return axes.gain(pool, model.information_bound(_utilities(posterior, model, pool), posterior.consistency))


def gains(
    rule: Rule,
    posterior: Posterior,
    model: ChoiceModel,
    pool: Tensor,
    targets: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Gain (N,) of every pair in ``pool`` (N, K) given the served pairs ``targets`` (T, K), in UNITS[rule].

    The generator draws the random rule's gains and epig's sample of targets. Raises InvalidInput for unusable tensors.
    """
    for name, rows in (("pool", pool), ("targets", targets)):
        require_shape(name, rows, (None, posterior.k))
        require_finite(name, rows)
    match rule:
        case Rule.IOPT:
            return variance_reduction(Outlook.of(posterior, model, pool, targets), posterior.covariance)
        case Rule.EPIG:
            return _epig_of_best(posterior, model, pool, targets, generator)
        case Rule.DOPT:
            spread = (pool @ covariance_root(posterior.covariance)).square().sum(1)
            return torch.log1p(question_information(posterior, model, pool) * spread) / 2
        case Rule.BALD:
            return _bald(posterior, model, pool)
        case Rule.EUBO:
            # BoTorch takes a second to import; only this rule needs it.
            from elicitation.botorch_model import expected_utility_of_best

            return expected_utility_of_best(posterior, pool)
        case Rule.RANDOM:
            return torch.rand(len(pool), generator=generator, dtype=torch.float64)


def question_information(posterior: Posterior, model: ChoiceModel, pool: Tensor) -> Tensor:
    """I (N,): expected Fisher information of one choice about λᵀv at the posterior mean, per nat²."""
    return model.information(_utilities(posterior, model, pool), posterior.consistency)


def _utilities(posterior: Posterior, model: ChoiceModel, pool: Tensor) -> Tensor:
    return pool @ posterior.mean.to(pool.dtype) + model.side_bias


def served_moment(posterior: Posterior, model: ChoiceModel, targets: Tensor) -> Tensor:
    """M (K, K) of the served pairs ``targets`` (T, K)."""
    weighted = model.win_slope(targets @ posterior.mean, posterior.consistency)[:, None] * targets
    return weighted.T @ weighted


@dataclass(frozen=True, eq=False)
class Outlook:
    """What iopt needs besides the covariance: ``pool`` (N, K), its ``information`` (N,), ``served`` = M (K, K)."""

    pool: Tensor
    information: Tensor
    served: Tensor

    @classmethod
    def of(cls, posterior: Posterior, model: ChoiceModel, pool: Tensor, targets: Tensor) -> "Outlook":
        information = question_information(posterior, model, pool)
        return cls(pool, information, served_moment(posterior, model, targets))


def variance_reduction(outlook: Outlook, covariance: Tensor) -> Tensor:
    """iopt (N,): expected fall of the summed variance of served win probabilities, probability²."""
    return Axes.of(covariance, outlook.served).gain(outlook.pool, outlook.information)


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

    def gain(self, pool: Tensor, information: Tensor) -> Tensor:
        """iopt (N,) of pairs (N, K) whose answers have ``information`` (N,)."""
        spread, reached = self.forms @ (pool @ self.turn).square_().T
        gain: Tensor = reached * information / (1 + information * spread)
        return gain


def _entropy(p: Tensor) -> Tensor:
    """Entropy over the last dimension, nats."""
    entropy: Tensor = torch.special.entr(p).sum(-1)
    return entropy


def _bald(posterior: Posterior, model: ChoiceModel, pool: Tensor) -> Tensor:
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
    served = (w[:, None] * replace(model, side_bias=0.0).probabilities(z, consistency)).sum(-2)
    return torch.einsum("i,nia,ntib->ntab", w, asked, served)
