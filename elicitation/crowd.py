"""Many people's answers at once, and their Laplace posteriors over λ at every node of the consistency κ.

Per component of the population, λ = μ + L·a with L·Lᵀ = Σ turns the prior into a ~ N(0, I); heads without prior
variance have zero rows in L. For question i with difference x_i (left minus right) and a given κ

    z_i = x_iᵀλ + side_bias,    J_i = ∂z_i/∂a = Lᵀx_i
    log posterior   f(a) = Σ_i log p(answer_i | z_i, κ) − |a|²/2
    curvature       H(a) = Σ_i I(z_i)·J_i·J_iᵀ + 1        I: expected Fisher information (a lapse makes f non-concave)

Fisher scoring a ← a + H⁻¹∇f finds the mode (``elicitation.laplace``), and Newton's own steps polish it; H⁻¹ there is
the covariance and f − ½·log det H the log evidence. An answer that looks like a lapse can give f several modes. The one
meant is that reached from the mode without lapses, where f is concave, so that every start gives the same.

κ = exp(s·b), b ~ N(0, 1), is integrated out by Gauss–Hermite quadrature, each node weighted by its evidence. (At the
joint mode of λ and log κ, κ would be too large and λ too small and too sure of itself, the more so the more heads there
are.)

The answers of P people lie one under another, and every step is taken for all people together, so that a hundred
thousand people cost a few dozen matrix operations.

Source: Laplace's method; the nodes as in Rue, Martino and Chopin (2009).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.choice import ChoiceModel, Outcomes
from elicitation.errors import InvalidInput
from elicitation.laplace import ascend, covariance_root, row_norms
from elicitation.population import Component, Population
from elicitation.quadrature import gauss_hermite

CONSISTENCY_NODES = 7
STEP_TOLERANCE = 1e-4
"""Longest last step of anybody, in prior standard deviations; what it leaves is of the order of its square."""
POLISH = 0.1
"""Fisher step, in prior standard deviations, below which Newton's own replaces it: Fisher scoring ends linearly."""
ANSWERS_AT_ONCE = 256
"""Nodes are taken together as long as they have no more answers than this; otherwise one after another, each from the
modes of the last."""


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


def infer_many(
    population: Population,
    model: ChoiceModel,
    crowd: Crowd,
    near: Tensor | None = None,
    tolerance: float = STEP_TOLERANCE,
) -> Beliefs:
    """Everybody's posterior; people without answers keep the population.

    ``near`` (P, C, J, K): means not far from the result, to set out from and save time. ``tolerance`` is the longest
    last step, in prior standard deviations. Raises InvalidInput when sizes disagree and NotConverged when somebody's
    mode is not found.
    """
    require_shape("differences", crowd.differences, (None, population.k))
    nodes, w = consistency_nodes(model)
    parts = [
        _laplace(component, model, crowd, nodes, None if near is None else near[:, c], tolerance)
        for c, component in enumerate(population.components)
    ]
    means, covariances, evidence = (torch.stack(kind, dim=1) for kind in zip(*parts, strict=True))
    prior = torch.tensor([component.weight for component in population.components], dtype=torch.float64)
    logs = evidence + prior.log()[:, None] + w.log()
    total = logs.flatten(1).logsumexp(1)
    return Beliefs(means, covariances, (logs - total[:, None, None]).exp(), total, nodes)


def consistency_nodes(model: ChoiceModel) -> tuple[Tensor, Tensor]:
    """Values (J,) of log κ and their prior weights (J,)."""
    spread = model.log_consistency_std
    x, w = gauss_hermite(CONSISTENCY_NODES if spread > 0 else 1)
    return spread * x, w


def _laplace(
    prior: Component, model: ChoiceModel, crowd: Crowd, nodes: Tensor, near: Tensor | None, tolerance: float
) -> tuple[Tensor, ...]:
    """Means (P, J, K), covariances (P, J, K, K) and log evidence (P, J) under one component, at every node."""
    answers = _Answers(prior, covariance_root(prior.covariance), crowd)
    size = max(1, ANSWERS_AT_ONCE // max(1, crowd.size, len(crowd.people)))
    starts = repeat(None) if near is None else near.split(size, dim=1)
    found, a = [], torch.zeros(1, crowd.size, answers.root.shape[1], dtype=torch.float64)
    for some, start in zip(nodes.split(size), starts, strict=False):
        posteriors = _LogPosteriors(answers, model, some.exp()[:, None])
        origin = a[-1].expand(len(some), -1, -1) if start is None else answers.coordinates(start.transpose(0, 1))
        a = posteriors.mode(origin, tolerance)
        found.append(tuple(part.transpose(0, 1) for part in posteriors.laplace(a)))
    return tuple(torch.cat(kind, dim=1) for kind in zip(*found, strict=True))


@dataclass(frozen=True, eq=False)
class _Answers:
    """A crowd's answers in coordinates a (…, P, r) with λ = μ + L·a; ``root`` is L (K, r)."""

    prior: Component
    root: Tensor
    crowd: Crowd

    @cached_property
    def jacobian(self) -> Tensor:
        """∂z/∂a of the answers (N, r)."""
        return self.crowd.differences @ self.root

    @cached_property
    def products(self) -> Tensor:
        """Each answer's jacobian times itself (N, r·r)."""
        return (self.jacobian[:, :, None] * self.jacobian[:, None, :]).flatten(1)

    @cached_property
    def _common(self) -> Tensor:
        """The answers' xᵀμ (N,), nats."""
        return self.crowd.differences @ self.prior.mean

    def coordinates(self, means: Tensor) -> Tensor:
        """The a (…, P, r) of λ nearest to ``means`` (…, P, K); the columns of L are orthogonal."""
        return (means - self.prior.mean) @ (self.root / self.root.square().sum(0))

    def rewards(self, a: Tensor) -> Tensor:
        """xᵀλ (J, N), nats, of a (J, P, r)."""
        return self._common + row_products(self.jacobian, a.index_select(1, self.crowd.people))

    @cached_property
    def by_person(self) -> tuple[Tensor, Tensor]:
        """The rows of the answers in the order of their people (N,), and where each person's begin (P + 1,)."""
        rows = self.crowd.people.argsort(stable=True)
        return rows, torch.searchsorted(self.crowd.people[rows], torch.arange(self.crowd.size + 1))


@dataclass(frozen=True, eq=False)
class _LogPosteriors:
    """Everybody's log posterior of a, each at J values of κ, ``consistency`` (J, 1)."""

    answers: _Answers
    model: ChoiceModel
    consistency: Tensor

    def mode(self, start: Tensor, tolerance: float) -> Tensor:
        """Modes (J, P, r) by way of the modes without lapses, of which everybody has one, whatever ``start``."""
        if self.model.lapse > 0:
            start = replace(self, model=replace(self.model, lapse=0.0)).mode(start, tolerance)
        point = ascend(self.at, start, tolerance, "posterior mode")
        return point.a + point.step

    def at(self, a: Tensor) -> "_Point":
        """The log posteriors at a (J, P, r)."""
        return _Point(self, a)

    def laplace(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means (J, P, K), covariances (J, P, K, K) and log evidence (J, P) around the modes."""
        point, root = self.at(a), self.answers.root
        curvature = point.expected_curvature
        evidence = point.value - torch.linalg.slogdet(curvature).logabsdet / 2
        return self.answers.prior.mean + a @ root.T, root @ torch.linalg.inv(curvature) @ root.T, evidence

    def curvature(self, information: Tensor) -> Tensor:
        """Everybody's curvature (J, P, r, r) from the information (J, N) of the answers."""
        r = self.answers.root.shape[1]
        summed: Tensor = self.summed(information, self.answers.products).unflatten(-1, (r, r))
        summed.diagonal(dim1=-2, dim2=-1).add_(1)
        return summed

    def summed(self, weights: Tensor, values: Tensor) -> Tensor:
        """Σ weight·value over everybody's answers: (J, N), (N, C) -> (J, P, C)."""
        places, columns, starts, shape = self._layout
        matrix = csr_array((weights.numpy().ravel()[places], columns, starts), shape)
        summed: Tensor = torch.from_numpy(matrix @ values.numpy())
        return summed.view(len(weights), self.answers.crowd.size, values.shape[1])

    @cached_property
    def _layout(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], tuple[int, int]]:
        """Whose answer is which at which κ, a sparse matrix (J·P, N): the weight at each place, columns, row starts."""
        rows, starts = self.answers.by_person
        j, n = len(self.consistency), len(rows)
        shift = n * torch.arange(j)[:, None]
        ends = torch.cat([torch.zeros(1, dtype=torch.long), (starts[1:] + shift).flatten()])
        return (
            (rows + shift).flatten().numpy(),
            rows.repeat(j).int().numpy(),
            ends.int().numpy(),
            (j * self.answers.crowd.size, n),
        )


@dataclass(frozen=True, eq=False)
class _Point:
    """Everybody's log posterior at a (J, P, r)."""

    of: _LogPosteriors
    a: Tensor

    @cached_property
    def value(self) -> Tensor:
        """f (J, P) without constants, nats."""
        likelihood = self.of.model.log_likelihood(self._z, self._outcomes, self.of.consistency)
        summed = torch.zeros(self.a.shape[:2], dtype=torch.float64).index_add(
            1, self.of.answers.crowd.people, likelihood
        )
        return summed - self.a.square().sum(-1) / 2

    @cached_property
    def gradient(self) -> Tensor:
        """∇f (J, P, r)."""
        score = self.of.model.score(self._z, self._outcomes, self.of.consistency)
        return self.of.summed(score, self.of.answers.jacobian) - self.a

    @cached_property
    def expected_curvature(self) -> Tensor:
        """H (J, P, r, r), with expected information."""
        return self.of.curvature(self.of.model.answer_information(self._z, self._outcomes, self.of.consistency))

    @cached_property
    def observed_curvature(self) -> Tensor:
        """−∇²f (J, P, r, r); not positive definite everywhere."""
        return self.of.curvature(self.of.model.observed_information(self._z, self._outcomes, self.of.consistency))

    @cached_property
    def step(self) -> Tensor:
        """Fisher's steps (J, P, r), and Newton's own where they are short and the curvature is positive definite.

        Without lapses both are one.
        """
        fisher: Tensor = torch.linalg.solve(self.expected_curvature, self.gradient)
        if self.of.model.lapse == 0:
            return fisher
        short = row_norms(fisher) < POLISH
        if not bool(short.any()):
            return fisher
        factor, failed = torch.linalg.cholesky_ex(self.observed_curvature)
        newton = torch.cholesky_solve(self.gradient[..., None], factor).squeeze(-1)
        return torch.where((short & (failed == 0))[..., None], newton, fisher)

    @cached_property
    def _z(self) -> Tensor:
        """z of the answers (J, N), nats."""
        return self.of.answers.rewards(self.a) + self.of.model.side_bias

    @property
    def _outcomes(self) -> Outcomes:
        return self.of.answers.crowd.outcomes
