"""Posterior of a person given their answers: a Laplace posterior over λ, averaged over the consistency κ.

Per component of the population, λ = μ + L·a with L·Lᵀ = Σ turns the prior into a ~ N(0, I); heads without prior
variance have zero rows in L. For question i with difference x_i (left minus right) and a given κ

    z_i = x_iᵀλ + side_bias,    J_i = ∂z_i/∂a = Lᵀx_i
    log posterior   f(a) = Σ_i log p(answer_i | z_i, κ) − |a|²/2
    curvature       H(a) = Σ_i I(z_i)·J_i·J_iᵀ + 1        I: expected Fisher information (a lapse makes f non-concave)

Fisher scoring a ← a + H⁻¹∇f from the prior mean with a line search finds the mode, and Newton's own steps polish it;
H⁻¹ there is the covariance and f − ½·log det H the log evidence. An answer that looks like a lapse can give f several
modes; the one meant is that reached from the mode without lapses, where f is concave, so a warm start gives the same.

κ = exp(s·b), b ~ N(0, 1), is integrated out by Gauss–Hermite quadrature, each node weighted by its evidence, and every
component keeps the moments over the nodes. (At the joint mode of λ and log κ, κ would be too large and λ too small and
too sure of itself, the more so the more heads there are.)

Source: Laplace's method; the nodes as in Rue, Martino and Chopin (2009); line search by the approximate Wolfe
conditions of Hager and Zhang (2005).
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.choice import OUTCOMES, Choice, ChoiceModel, Outcomes, Strength, require_side
from elicitation.errors import InvalidInput, NotConverged
from elicitation.population import Component, Mixture, Population
from elicitation.quadrature import gauss_hermite

STEP_TOLERANCE = 1e-10
"""Longest final step, in prior standard deviations."""
POLISH = 0.1
"""Fisher step, in prior standard deviations, below which Newton's own replaces it: Fisher scoring ends linearly."""
MAX_ITERATIONS = 200
MAX_HALVINGS = 60
RANK_TOLERANCE = 1e-12
CONSISTENCY_NODES = 7


@dataclass(frozen=True, eq=False)
class Evidence:
    """A person's answers: ``differences`` (N, K) = φ_left − φ_right, with the N choices and strengths.

    Rows of skip and both_poor are allowed and never move λ. Raises InvalidInput naming the first unusable value.
    """

    differences: Tensor
    choices: tuple[Choice, ...]
    strengths: tuple[Strength | None, ...]

    def __post_init__(self) -> None:
        require_shape("differences", self.differences, (len(self.choices), None))
        require_finite("differences", self.differences)
        if len(self.strengths) != len(self.choices):
            raise InvalidInput(
                f"{len(self.strengths)} strengths for {len(self.choices)} choices; pass one each, or None"
            )
        for choice, strength in zip(self.choices, self.strengths, strict=True):
            require_side(choice, strength)

    @property
    def moving(self) -> tuple[int, ...]:
        """Rows whose answer moves λ."""
        return tuple(row for row, choice in enumerate(self.choices) if choice in OUTCOMES)

    def outcomes(self) -> Outcomes:
        """The moving rows' answers as numbers."""
        rows = self.moving
        return Outcomes.of([self.choices[row] for row in rows], [self.strengths[row] for row in rows])


@dataclass(frozen=True, eq=False)
class Posterior(Mixture):
    """Belief about one person's λ, with κ integrated out, and the mean of log κ."""

    log_consistency: float

    @property
    def consistency(self) -> float:
        """κ, the factor between λᵀφ and the log-odds of this person's choices."""
        return math.exp(self.log_consistency)


def infer(population: Population, model: ChoiceModel, evidence: Evidence, start: Posterior | None = None) -> Posterior:
    """The posterior given all answers; ``start`` (an earlier posterior of the same population) only saves iterations.

    Without an answer that moves λ this is the population itself. Raises InvalidInput when sizes disagree and
    NotConverged when the mode is not found.
    """
    require_shape("differences", evidence.differences, (None, population.k))
    if start is not None and (len(start.components), start.k) != (len(population.components), population.k):
        raise InvalidInput(
            f"start has {len(start.components)} components of {start.k} heads; it is of another population"
        )
    rows = list(evidence.moving)
    if not rows:
        return Posterior(population.components, 0.0)
    differences, outcomes = evidence.differences[rows], evidence.outcomes()
    starts = [None] * len(population.components) if start is None else [part.mean for part in start.components]
    fits = [
        _fit(component, model, differences, outcomes, mean)
        for component, mean in zip(population.components, starts, strict=True)
    ]
    weights = torch.tensor([fit.log_evidence for fit in fits], dtype=torch.float64).softmax(0).tolist()
    components = tuple(replace(fit.component, weight=weight) for fit, weight in zip(fits, weights, strict=True))
    return Posterior(components, sum(w * fit.log_consistency for fit, w in zip(fits, weights, strict=True)))


@dataclass(frozen=True, eq=False)
class _Fit:
    """One component's share of the posterior; ``log_evidence`` includes the log of its prior weight."""

    log_evidence: float
    component: Component
    log_consistency: float


def _fit(prior: Component, model: ChoiceModel, differences: Tensor, outcomes: Outcomes, start: Tensor | None) -> _Fit:
    """Average one component's Laplace posterior over the nodes of log κ."""
    spread = model.log_consistency_std
    nodes, node_weights = gauss_hermite(CONSISTENCY_NODES if spread > 0 else 1)
    root = covariance_root(prior.covariance)
    a = torch.zeros(root.shape[1], dtype=torch.float64)
    if start is not None:
        a = (root.T @ (start - prior.mean)) / root.square().sum(0)
    modes = []
    for node in nodes.tolist():
        problem = _Problem(prior, model, math.exp(spread * node), differences, outcomes, root)
        modes.append((problem, problem.mode(a)))
        a = modes[-1][1].a
    evidence = torch.tensor([problem.log_evidence(mode) for problem, mode in modes], dtype=torch.float64)
    logs = evidence + node_weights.log()
    shares = logs.softmax(0)
    mixed = Mixture(
        tuple(problem.component(mode, w) for (problem, mode), w in zip(modes, shares.tolist(), strict=True))
    )
    log_weight = math.log(prior.weight) if prior.weight > 0 else -math.inf
    return _Fit(
        log_evidence=log_weight + float(logs.logsumexp(0)),
        component=Component(1.0, mixed.mean, mixed.covariance),
        log_consistency=spread * float(shares @ nodes),
    )


@dataclass(frozen=True, eq=False)
class _Point:
    """The log posterior at a: value f, gradient ∇f (r,), curvature H (r, r)."""

    a: Tensor
    value: float
    gradient: Tensor
    curvature: Tensor


@dataclass(frozen=True, eq=False)
class _Problem:
    """One component's log posterior at a given κ in the whitened coordinates a; ``root`` is L (K, r)."""

    prior: Component
    model: ChoiceModel
    consistency: float
    differences: Tensor
    outcomes: Outcomes
    root: Tensor

    def at(self, a: Tensor) -> _Point:
        z, jacobian = self._utilities(a), self.differences @ self.root
        information = self.model.answer_information(z, self.outcomes, self.consistency)
        return _Point(
            a=a,
            value=float(self.model.log_likelihood(z, self.outcomes, self.consistency).sum() - a @ a / 2),
            gradient=jacobian.T @ self.model.score(z, self.outcomes, self.consistency) - a,
            curvature=jacobian.T @ (information[:, None] * jacobian) + _identity(len(a)),
        )

    def mode(self, start: Tensor) -> _Point:
        """The mode reached by way of the mode without lapses, of which there is one, whatever ``start`` (r,)."""
        concave = replace(self, model=replace(self.model, lapse=0.0))
        return self._climb(concave._climb(start).a)

    def _climb(self, start: Tensor) -> _Point:
        point = self.at(start)
        for _ in range(MAX_ITERATIONS):
            step = self._step(point)
            length = float(torch.linalg.vector_norm(step))
            if length < STEP_TOLERANCE:
                return point
            point = self._advance(point, step)
        raise NotConverged(
            f"posterior mode: the step is still {length:.1e} > {STEP_TOLERANCE:.0e} prior standard deviations after "
            f"{MAX_ITERATIONS} iterations; look for differences of extreme size in the evidence"
        )

    def _step(self, point: _Point) -> Tensor:
        fisher: Tensor = torch.linalg.solve(point.curvature, point.gradient)
        if float(torch.linalg.vector_norm(fisher)) > POLISH:
            return fisher
        factor, failed = torch.linalg.cholesky_ex(self.observed_curvature(point.a))
        newton: Tensor = torch.cholesky_solve(point.gradient[:, None], factor).squeeze(-1)
        return fisher if int(failed) else newton

    def observed_curvature(self, a: Tensor) -> Tensor:
        """−∇²f (r, r); not positive definite everywhere."""
        jacobian = self.differences @ self.root
        information = self.model.observed_information(self._utilities(a), self.outcomes, self.consistency)
        return jacobian.T @ (information[:, None] * jacobian) + _identity(len(a))

    def _utilities(self, a: Tensor) -> Tensor:
        return self.differences @ (self.prior.mean + self.root @ a) + self.model.side_bias

    def _advance(self, point: _Point, step: Tensor) -> _Point:
        """The first of step, step/2, step/4, … that climbs enough."""
        slope = float(point.gradient @ step)
        noise = 1e-12 * (1 + abs(point.value))
        for halving in range(MAX_HALVINGS):
            length = 0.5**halving
            candidate = self.at(point.a + length * step)
            if candidate.value >= point.value + 1e-4 * length * slope:
                return candidate
            # Close to the mode rounding hides the rise in f; there a flatter slope proves progress.
            flatter = abs(float(candidate.gradient @ step)) <= 0.9 * slope
            if flatter and candidate.value >= point.value - noise:
                return candidate
        raise NotConverged(f"posterior mode: no step of {MAX_HALVINGS} halvings climbs (slope {slope:.1e})")

    def log_evidence(self, mode: _Point) -> float:
        """Log of the Laplace marginal likelihood, nats."""
        return mode.value - float(torch.linalg.slogdet(mode.curvature).logabsdet) / 2

    def component(self, mode: _Point, weight: float) -> Component:
        covariance = self.root @ torch.linalg.inv(mode.curvature) @ self.root.T
        return Component(weight, self.prior.mean + self.root @ mode.a, (covariance + covariance.T) / 2)


def covariance_root(covariance: Tensor) -> Tensor:
    """L (K, r) with L·Lᵀ = ``covariance`` (K, K) of rank r; orthogonal columns, rows of zero variance exactly zero."""
    free = covariance.diagonal() > 0
    values, vectors = torch.linalg.eigh(covariance[free][:, free])
    kept = values > RANK_TOLERANCE * values.sum()
    root = torch.zeros(len(covariance), int(kept.sum()), dtype=torch.float64)
    root[free] = vectors[:, kept] * values[kept].sqrt()
    return root


def _identity(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)
