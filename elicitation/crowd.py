"""Many people's answers at once, and their posteriors: the batched form of ``elicitation.posterior``.

The answers of P people lie one under another; every step of the Fisher scoring is taken for all people together, so
that a hundred thousand people cost a few dozen matrix operations. A lapse that leaves two modes aside, the result is
that of ``infer`` for each person (a test holds them together).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from scipy.sparse import csr_array
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.choice import ChoiceModel, Outcomes
from elicitation.errors import InvalidInput, NotConverged
from elicitation.population import Component, Population
from elicitation.posterior import CONSISTENCY_NODES, POLISH, Posterior, covariance_root
from elicitation.quadrature import gauss_hermite

STEP_TOLERANCE = 1e-4
"""Longest final step of anybody, in prior standard deviations; what it leaves is of the order of its square."""
MAX_ITERATIONS = 200
MAX_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class Crowd:
    """N answers that move λ, of P people: ``differences`` (N, K) = φ_left − φ_right, ``people`` (N,) in 0…P−1.

    Raises InvalidInput for unusable tensors.
    """

    differences: Tensor
    people: Tensor
    outcomes: Outcomes
    size: int

    def __post_init__(self) -> None:
        require_shape("differences", self.differences, (None, None))
        require_shape("people", self.people, (len(self.differences),))
        require_finite("differences", self.differences)
        if len(self.people) and not 0 <= int(self.people.min()) <= int(self.people.max()) < self.size:
            raise InvalidInput(
                f"people are numbered {int(self.people.min())} to {int(self.people.max())}; "
                f"a crowd of {self.size} numbers them from 0"
            )

    @property
    def k(self) -> int:
        """Number of heads K."""
        return self.differences.shape[1]

    def where(self, rows: Tensor) -> "Crowd":
        """The answers selected by ``rows`` (bool (N,) or indices), of the same people."""
        return Crowd(self.differences[rows], self.people[rows], self.outcomes[rows], self.size)

    def chunks(self, people: int) -> Iterator["Crowd"]:
        """Crowds of at most ``people`` people each, renumbered; the answers must be sorted by person."""
        for first in range(0, self.size, people):
            last = min(first + people, self.size)
            low, high = torch.searchsorted(self.people, torch.tensor([first, last])).tolist()
            part = self.where(torch.arange(low, high))
            yield replace(part, people=part.people - first, size=last - first)


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Posteriors of P people under C components at J nodes of log κ.

    ``means`` (P, C, J, K), ``covariances`` (P, C, J, K, K), ``shares`` (P, C, J) summing to 1 per person,
    ``log_evidence`` (P,) nats, ``nodes`` (J,) values of log κ.
    """

    means: Tensor
    covariances: Tensor
    shares: Tensor
    log_evidence: Tensor
    nodes: Tensor

    def posterior(self, person: int) -> Posterior:
        """One person's, with log κ averaged out per component as ``infer`` does."""
        components = []
        for means, covariances, shares in zip(
            self.means[person], self.covariances[person], self.shares[person], strict=True
        ):
            weight = float(shares.sum())
            within = shares / shares.sum().clamp_min(1e-300)
            mean = within @ means
            apart = means - mean
            covariance = torch.einsum("j,jkl->kl", within, covariances) + apart.T @ (within[:, None] * apart)
            components.append(Component(min(weight, 1.0), mean, (covariance + covariance.T) / 2))
        return Posterior(tuple(components), float(self.shares[person].sum(0) @ self.nodes))


def rank_within(people: Tensor, keys: Tensor | None = None) -> Tensor:
    """Each row's place (N,), from 0, among the rows of its person, in the order of ``keys`` (N,) or as they lie."""
    order = torch.arange(len(people)) if keys is None else torch.argsort(keys)
    order = order[torch.argsort(people[order], stable=True)]
    ranked = people[order]
    place = torch.empty_like(people)
    place[order] = torch.arange(len(people)) - torch.searchsorted(ranked, ranked)
    return place


def row_products(left: Tensor, right: Tensor) -> Tensor:
    """Scalar products (N,) of the rows of two (N, K); a product with ones adds short rows faster than ``sum(1)``."""
    return (left * right) @ torch.ones(left.shape[1], dtype=left.dtype)


def infer_many(population: Population, model: ChoiceModel, crowd: Crowd, near: Tensor | None = None) -> Beliefs:
    """Everybody's posterior; people without answers keep the population.

    ``near`` (P, C, J, K): means not far from the result, to set out from and save time. Raises InvalidInput when sizes
    disagree and NotConverged when somebody's mode is not found.
    """
    require_shape("differences", crowd.differences, (None, population.k))
    spread = model.log_consistency_std
    x, w = gauss_hermite(CONSISTENCY_NODES if spread > 0 else 1)
    nodes, parts = spread * x, []
    for c, component in enumerate(population.components):
        problem = _Crowded(component, covariance_root(component.covariance), model, crowd)
        modes, a = [], torch.zeros(crowd.size, problem.root.shape[1], dtype=torch.float64)
        for j, node in enumerate(nodes.tolist()):
            a = problem.mode(a if near is None else problem.coordinates(near[:, c, j]), math.exp(node))
            modes.append(problem.laplace(a, math.exp(node)))
        parts.append(tuple(torch.stack(kind, dim=1) for kind in zip(*modes, strict=True)))
    means, covariances, evidence = (torch.stack(kind, dim=1) for kind in zip(*parts, strict=True))
    prior = torch.tensor([component.weight for component in population.components], dtype=torch.float64)
    logs = evidence + prior.log()[:, None] + w.log()
    total = logs.flatten(1).logsumexp(1)
    return Beliefs(means, covariances, (logs - total[:, None, None]).exp(), total, nodes)


@dataclass(frozen=True, eq=False)
class _Crowded:
    """Everybody's log posterior under one component, in coordinates a (P, r) with λ = μ + L·a."""

    prior: Component
    root: Tensor
    model: ChoiceModel
    crowd: Crowd

    @cached_property
    def _jacobian(self) -> Tensor:
        """∂z/∂a of the answers (N, r)."""
        return self.crowd.differences @ self.root

    @cached_property
    def _products(self) -> Tensor:
        """Each answer's jacobian times itself (N, r·r)."""
        return (self._jacobian[:, :, None] * self._jacobian[:, None, :]).flatten(1)

    @cached_property
    def _answered(self) -> csr_array:
        """Whose answer is which (P, N); its values change with every sum."""
        people = self.crowd.people
        rows = people.argsort(stable=True)
        starts = torch.searchsorted(people[rows], torch.arange(self.crowd.size + 1))
        return csr_array((torch.ones(len(rows)), rows.int(), starts.int()), (self.crowd.size, len(rows)))

    @cached_property
    def _common(self) -> Tensor:
        """The answers' z (N,) at the prior's mean, nats."""
        return self.crowd.differences @ self.prior.mean + self.model.side_bias

    def coordinates(self, means: Tensor) -> Tensor:
        """The a (P, r) of λ nearest to ``means`` (P, K); the columns of L are orthogonal."""
        return (means - self.prior.mean) @ (self.root / self.root.square().sum(0))

    def mode(self, a: Tensor, consistency: float) -> Tensor:
        """Modes (P, r), by way of the modes without lapses."""
        if self.model.lapse == 0:
            return self._climb(a, consistency)
        concave = replace(self, model=replace(self.model, lapse=0.0))
        return self._climb(concave._climb(a, consistency), consistency)

    def _climb(self, a: Tensor, consistency: float) -> Tensor:
        z = self._utilities(a)
        value = self._value(a, z, consistency)
        for _ in range(MAX_ITERATIONS):
            step = self._step(a, z, consistency)
            longest = float(torch.linalg.vector_norm(step, dim=1).max()) if step.numel() else 0.0
            if longest < STEP_TOLERANCE:
                return a + step
            a, z, value = self._advance(a, value, step, consistency)
        raise NotConverged(
            f"posterior modes: somebody's step is still {longest:.1e} > {STEP_TOLERANCE:.0e} prior standard deviations "
            f"after {MAX_ITERATIONS} iterations; look for differences of extreme size"
        )

    def _step(self, a: Tensor, z: Tensor, consistency: float) -> Tensor:
        """Fisher's steps (P, r), and Newton's own where they are short and the curvature there is positive definite."""
        outcomes = self.crowd.outcomes
        gradient = self._summed(self.model.score(z, outcomes, consistency), self._jacobian) - a
        expected = self._curvature(self.model.answer_information(z, outcomes, consistency))
        fisher: Tensor = torch.linalg.solve(expected, gradient)
        if self.model.lapse == 0:
            return fisher
        short = torch.linalg.vector_norm(fisher, dim=1) < POLISH
        if not bool(short.any()):
            return fisher
        observed = self._curvature(self.model.observed_information(z, outcomes, consistency))
        factor, failed = torch.linalg.cholesky_ex(observed)
        newton = torch.cholesky_solve(gradient[..., None], factor).squeeze(-1)
        return torch.where((short & (failed == 0))[:, None], newton, fisher)

    def _advance(self, a: Tensor, value: Tensor, step: Tensor, consistency: float) -> tuple[Tensor, Tensor, Tensor]:
        """From ``a`` of ``value`` (P,), for everybody the first of step, step/2, step/4, … that does not descend: the
        new a, z and value."""
        length = torch.ones(len(a), 1, dtype=torch.float64)
        for _ in range(MAX_HALVINGS):
            moved = a + length * step
            z = self._utilities(moved)
            reached = self._value(moved, z, consistency)
            worse = reached < value - 1e-12 * (1 + value.abs())
            if not bool(worse.any()):
                break
            length[worse] /= 2
        return moved, z, reached

    def _value(self, a: Tensor, z: Tensor, consistency: float) -> Tensor:
        """Log posterior (P,) without constants, nats."""
        likelihood = self.model.log_likelihood(z, self.crowd.outcomes, consistency)
        summed = torch.zeros(self.crowd.size, dtype=torch.float64).index_add(0, self.crowd.people, likelihood)
        return summed - a.square().sum(1) / 2

    def laplace(self, a: Tensor, consistency: float) -> tuple[Tensor, Tensor, Tensor]:
        """Means (P, K), covariances (P, K, K) and log evidence (P,) around the modes."""
        z = self._utilities(a)
        curvature = self._curvature(self.model.answer_information(z, self.crowd.outcomes, consistency))
        evidence = self._value(a, z, consistency) - torch.linalg.slogdet(curvature).logabsdet / 2
        covariances = self.root @ torch.linalg.inv(curvature) @ self.root.T
        return self.prior.mean + a @ self.root.T, covariances, evidence

    def _curvature(self, information: Tensor) -> Tensor:
        """Everybody's curvature (P, r, r) from the information (N,) of the answers."""
        r = self.root.shape[1]
        return self._summed(information, self._products).view(-1, r, r) + torch.eye(r, dtype=torch.float64)

    def _utilities(self, a: Tensor) -> Tensor:
        return self._common + row_products(self._jacobian, a.index_select(0, self.crowd.people))

    def _summed(self, weights: Tensor, values: Tensor) -> Tensor:
        """Σ weight·value over everybody's answers: (N,), (N, C) -> (P, C)."""
        answered = self._answered
        answered.data = weights.numpy()[answered.indices]
        return torch.from_numpy(answered @ values.numpy())
