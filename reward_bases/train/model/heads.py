"""Base rewards learned from many people: h(x) = W·f(x), with coefficients λ_u ~ N(λ̄, Σ) over people.

Reward factorisation (Shenfeld et al. 2025) with people integrated out instead of fitted: a person with ten judgments
says little about their own λ, and a point estimate of it would leak into the heads. EM, a round being

    E    everybody's posterior of λ under the current heads and population (``elicitation.crowd``), then λ̄, Σ from it
    M    W ← argmax Σ_i E log p(answer_i | λ_uᵀW x_i) − penalty, λ_uᵀW x_i Gaussian with its posterior's moments

Head 0 is the aggregate's Bradley–Terry head; ``fixed`` heads keep their weights; the rest start from the directions
in which people differ most (``spectral_start``). Where the mean is held, λ̄ is head 0 as it was fitted to people
together: neither its weights nor λ̄ move, and only spreads and the other heads are learned. The penalty is a ridge on
what a head of one standard deviation of taste can say: ½·ridge·Σ_k σ_k²·|w_k|² in scaled features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.crowd import Crowd, row_products
from elicitation.empirical import believed, learn
from elicitation.norms import quadratic_form
from elicitation.population import Component, Population
from elicitation.quadrature import gauss_hermite
from reward_bases.train.data.judgments import Judgments

NODES = 5
STEPS = 25
"""Of L-BFGS in an M step."""
START_STD = 1.0
"""Of everybody's coefficients before the first round, the aggregate's included."""
INNER = 2
"""Rounds of EM on the population before every M step."""
LEAST_VARIANCE = 1e-12
"""Of a utility, nats², so that its root has a slope."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Heads W (K, F), the population of λ (K,) over them, and the rounds of EM behind them."""

    heads: Tensor
    population: Population
    rounds: int


@dataclass(frozen=True)
class Ridges:
    """Prior precision of the weights of the aggregate head, None where the mean is held, and of a learned one."""

    aggregate: float | None
    learned: float

    @property
    def mean_held(self) -> bool:
        return self.aggregate is None


@dataclass(frozen=True, eq=False)
class Loss:
    """A block's loss, nats, and its slopes by the ``differences`` (n, K) of the heads and by the ``offsets`` (T,)."""

    value: float
    differences: Tensor
    offsets: Tensor


Report = Callable[[Factors, float], None]
"""Called after every round with the factors so far and the log evidence per judgment, nats."""


def start_factors(
    judged: Judgments, model: ChoiceModel, fixed: Tensor, count: int, everybodys: tuple[Tensor, Tensor]
) -> Factors:
    """The aggregate head, the fixed ones (T, F), and ``count`` in which people differ most beyond them.

    ``everybodys`` is what ``aggregate_head`` gives. Features should have about unit spread, for the ridges to mean the
    same for all.
    """
    aggregate, coefficients = everybodys
    learned = spectral_start(judged, model, torch.cat([aggregate[None], fixed]), coefficients, count)
    heads = torch.cat([aggregate[None], fixed, learned])
    mean = torch.cat([coefficients, torch.zeros(len(learned), dtype=torch.float64)])
    std = torch.full_like(mean, START_STD)
    return Factors(heads, Population((Component(1.0, mean, torch.diag(std.square())),)), 0)


def aggregate_head(judged: Judgments, model: ChoiceModel, fixed: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weights (F,) of everybody's Bradley–Terry head, with the coefficients (1 + T,) of it (1) and the fixed heads."""
    weights = torch.zeros(1, judged.width, dtype=torch.float64)
    offsets = torch.zeros(len(fixed), dtype=torch.float64)
    known = judged.values(fixed)

    def loss(said: Tensor, rows: slice) -> Loss:
        others, outcomes = judged.differences(known, rows), judged.outcomes[rows]
        z = said[:, 0] + others @ offsets + model.side_bias
        slope = -model.score(z, outcomes)
        return Loss(-float(model.log_likelihood(z, outcomes).sum()), slope[:, None], slope @ others)

    minimise(judged, weights, torch.tensor([ridge], dtype=torch.float64), loss, offsets)
    return weights[0], torch.cat([torch.ones(1, dtype=torch.float64), offsets])


def spectral_start(judged: Judgments, model: ChoiceModel, known: Tensor, coefficients: Tensor, count: int) -> Tensor:
    """``count`` directions (count, F) in which people differ most beyond the ``known`` heads; F if there are fewer.

    With g_u = Σ_i score_i·x_i over a person's judgments, the score taken at the aggregate, the mean over people of
    g_u·g_uᵀ − Σ_i score_i²·x_i·x_iᵀ estimates A·Σ·A, where Σ is the spread of tastes and A the information matrix of
    a person's judgments; its leading eigenvectors, whitened by A, are the first heads. (PReF imputes and factors the
    matrix of people × pairs instead, which needs people who judged the same pairs; this needs only shared features.)
    """
    own = torch.zeros(judged.size, judged.width, dtype=torch.float64)
    single = torch.zeros(judged.width, judged.width, dtype=torch.float64)
    information = torch.zeros_like(single)
    for rows, x in judged.blocks():
        z = x @ (coefficients @ known) + model.side_bias
        score = model.score(z, judged.outcomes[rows])[:, None] * x
        own.index_add_(0, judged.people[rows], score)
        single += score.T @ score
        information += (model.information(z)[:, None] * x).T @ x
    information += torch.eye(judged.width, dtype=torch.float64)
    between = own.T @ own - single
    values, vectors = torch.linalg.eigh(information)
    whiten = vectors / values.sqrt() @ vectors.T
    leading = torch.linalg.eigh(whiten @ between @ whiten).eigenvectors[:, -count:].flip(1) if count else vectors[:, :0]
    directions = (whiten @ leading).T
    spread = quadratic_form(directions, information)[:, None] / max(len(judged), 1)
    start: Tensor = directions / spread.sqrt() / 2
    return start


def improve(
    judged: Judgments, model: ChoiceModel, fixed: int, start: Factors, ridges: Ridges, rounds: int, report: Report
) -> Factors:
    """EM until ``rounds`` are done, counting those behind ``start``, which may come from a checkpoint."""
    factors = start
    while factors.rounds < rounds:
        crowd = judged.crowd(factors.heads)
        fit = learn(crowd, model, factors.population, INNER, ridges.mean_held)
        population = unit_spread(fit.population, 1 + fixed)
        people = moments(population, model, crowd, fit.means)
        heads = refit_heads(judged, model, factors.heads, people, fixed, ridges)
        factors = Factors(heads, population, factors.rounds + 1)
        report(factors, fit.log_evidence[-1] / len(judged))
    return factors


def unit_spread(population: Population, known: int) -> Population:
    """The learned heads' coefficients as N(0, 1) again, and independent of those of the first ``known`` heads.

    Were their spread learned along with the heads, the ridge would shrink heads and let people grow without end.
    """
    (only,) = population.components
    mean = torch.cat([only.mean[:known], torch.zeros(population.k - known, dtype=torch.float64)])
    variance = torch.cat([only.covariance.diagonal()[:known], torch.ones(population.k - known, dtype=torch.float64)])
    return Population((Component(1.0, mean, torch.diag(variance)),))


def refit_heads(
    judged: Judgments, model: ChoiceModel, heads: Tensor, people: tuple[Tensor, Tensor], fixed: int, ridges: Ridges
) -> Tensor:
    """The M step: all heads but the ``fixed`` ones after the first, given the ``moments`` of ``people``.

    Where the mean is held, the first stays too.
    """
    mean, covariance = people
    tastes = len(heads) - 1 - fixed
    learned = torch.tensor([not ridges.mean_held] + [False] * fixed + [True] * tastes)
    if not bool(learned.any()):
        return heads
    aggregate = [] if ridges.aggregate is None else [ridges.aggregate]
    ridge = torch.tensor(aggregate + [ridges.learned] * tastes, dtype=torch.float64)
    known = judged.values(heads[~learned])
    order = torch.cat([torch.nonzero(learned), torch.nonzero(~learned)]).flatten().argsort()
    nodes, shares = gauss_hermite(NODES)
    no_offsets = torch.zeros(0, dtype=torch.float64)

    def loss(free: Tensor, rows: slice) -> Loss:
        phi = torch.cat([free, judged.differences(known, rows)], dim=1)[:, order]
        who, outcomes = judged.people[rows], judged.outcomes[rows]
        own, towards = mean.index_select(0, who), (covariance.index_select(0, who) @ phi[..., None]).squeeze(2)
        spread = row_products(towards, phi).clamp_min(LEAST_VARIANCE).sqrt()
        z = row_products(phi, own) + model.side_bias + nodes[:, None] * spread
        score = shares[:, None] * model.score(z, outcomes)
        slope = score.sum(0)[:, None] * own + (nodes @ score / spread)[:, None] * towards
        return Loss(-float((shares @ model.log_likelihood(z, outcomes)).sum()), -slope[:, learned], no_offsets)

    weights = heads[learned].clone()
    minimise(judged, weights, ridge, loss, no_offsets)
    refitted = heads.clone()
    refitted[learned] = weights
    return refitted


def moments(
    population: Population, model: ChoiceModel, crowd: Crowd, near: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Everybody's posterior mean (P, K) and covariance (P, K, K), found from means ``near`` (P, C, J, K)."""
    parts = []
    for beliefs in believed(crowd, model, population, near):
        shares, means = beliefs.shares, beliefs.means
        mean = torch.einsum("pcj,pcjk->pk", shares, means)
        apart = means - mean[:, None, None]
        within = torch.einsum("pcj,pcjkl->pkl", shares, beliefs.covariances)
        parts.append((mean, within + torch.einsum("pcj,pcjk,pcjl->pkl", shares, apart, apart)))
    mean, covariance = (torch.cat(kind) for kind in zip(*parts, strict=True))
    return mean, covariance


def minimise(
    judged: Judgments, weights: Tensor, ridge: Tensor, loss: Callable[[Tensor, slice], Loss], offsets: Tensor
) -> None:
    """L-BFGS with a strong Wolfe line search on heads ``weights`` (K, F) with ``ridge`` (K,), and on ``offsets`` (T,).

    ``loss`` takes the differences (n, K) of the heads' values in a block of judgments, and which block it is, so that
    no more than one is ever held, and features are only touched once per item.
    """
    optimiser = torch.optim.LBFGS([weights, offsets], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> float:
        values = judged.values(weights)
        slope = torch.zeros_like(values)
        weights.grad, offsets.grad = ridge[:, None] * weights, torch.zeros_like(offsets)
        total = float((weights.grad * weights).sum()) / 2
        for rows in judged.slices():
            part = loss(judged.differences(values, rows), rows)
            judged.add_slopes(slope, part.differences, rows)
            offsets.grad += part.offsets
            total += part.value
        weights.grad += judged.pulled_back(slope)
        return total

    optimiser.step(closure)
