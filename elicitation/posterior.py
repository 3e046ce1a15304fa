"""What a person's answers say about their coefficients: a Laplace posterior over λ and the consistency κ.

Per component of the population, λ = μ + L·a with L·Lᵀ = Σ and log κ = s·b turn the prior into θ = (a, b) ~ N(0, I);
heads without prior variance have zero rows in L. For question i with difference x_i (left minus right)

    u_i = κ·(x_iᵀλ + side_bias),    J_i = ∂u_i/∂θ = (κ·Lᵀx_i, s·u_i)
    log posterior   f(θ) = Σ_i log p(answer_i | u_i) − |θ|²/2
    curvature       H(θ) = Σ_i I(u_i)·J_i·J_iᵀ + 1        I: expected Fisher information (a lapse makes f non-concave)

Fisher scoring θ ← θ + H⁻¹∇f from the prior mean with a line search finds the mode, and Newton's own steps polish it;
H⁻¹ there is the covariance, whose block of a integrates κ out; f − ½·log det H is the component's log evidence. The
refit from the prior mean is the definition. An answer that looks like a lapse can give f a second mode, so a warm start
that ends in such a place is dropped for the full refit.

Source: Laplace's method; line search by the approximate Wolfe conditions of Hager and Zhang (2005).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.choice import OUTCOMES, Choice, ChoiceModel, Outcomes, Strength, require_side
from elicitation.errors import InvalidInput, NotConverged
from elicitation.population import Component, Population, mixture_covariance, mixture_mean

STEP_TOLERANCE = 1e-10
"""Longest final step, in prior standard deviations."""
POLISH = 0.1
"""Fisher step, in prior standard deviations, below which Newton's own replaces it: Fisher scoring ends linearly."""
MAX_ITERATIONS = 200
MAX_HALVINGS = 60
RANK_TOLERANCE = 1e-12


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
class Posterior:
    """Belief about one person's λ: a mixture of Gaussians, and the most probable log κ."""

    components: tuple[Component, ...]
    log_consistency: float

    @property
    def k(self) -> int:
        """Number of heads K."""
        return len(self.components[0].mean)

    @property
    def mean(self) -> Tensor:
        """Posterior mean of λ (K,), nats per spread."""
        return mixture_mean(self.components)

    @property
    def covariance(self) -> Tensor:
        """Posterior covariance of λ (K, K), with κ integrated out."""
        return mixture_covariance(self.components)

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
    problems = [_Problem.of(component, model, differences, outcomes) for component in population.components]
    starts = [None] * len(problems) if start is None else [component.mean for component in start.components]
    log_consistency = 0.0 if start is None else start.log_consistency
    modes = [(p, p.mode(mean, log_consistency)) for p, mean in zip(problems, starts, strict=True)]
    log_weights = torch.tensor([problem.log_evidence(mode) for problem, mode in modes], dtype=torch.float64)
    weights = log_weights.softmax(0).tolist()
    components = tuple(problem.component(mode, weight) for (problem, mode), weight in zip(modes, weights, strict=True))
    log_consistency = sum(w * problem.log_consistency(mode) for (problem, mode), w in zip(modes, weights, strict=True))
    return Posterior(components, log_consistency)


@dataclass(frozen=True, eq=False)
class _Point:
    """The log posterior at θ: value f, gradient ∇f (r+1,), curvature H (r+1, r+1)."""

    theta: Tensor
    value: float
    gradient: Tensor
    curvature: Tensor


@dataclass(frozen=True, eq=False)
class _Problem:
    """One component's log posterior in the whitened coordinates θ = (a, b); ``root`` is L (K, r)."""

    prior: Component
    model: ChoiceModel
    outcomes: Outcomes
    root: Tensor
    offset: Tensor
    design: Tensor

    @classmethod
    def of(cls, prior: Component, model: ChoiceModel, differences: Tensor, outcomes: Outcomes) -> "_Problem":
        root = covariance_root(prior.covariance)
        offset = differences @ prior.mean + model.side_bias
        return cls(prior, model, outcomes, root, offset, differences @ root)

    def at(self, theta: Tensor) -> _Point:
        consistency, u = self._utilities(theta)
        jacobian = self._jacobian(consistency, u)
        information = self.model.answer_information(u, self.outcomes)
        return _Point(
            theta=theta,
            value=float(self.model.log_likelihood(u, self.outcomes).sum() - theta @ theta / 2),
            gradient=jacobian.T @ self.model.score(u, self.outcomes) - theta,
            curvature=jacobian.T @ (information[:, None] * jacobian) + _identity(len(theta)),
        )

    def mode(self, mean: Tensor | None, log_consistency: float) -> _Point:
        """The mode found from the prior mean, or from λ = ``mean`` (K,) where no answer then looks like a lapse."""
        if mean is not None:
            warm = self._climb(self._coordinates(mean, log_consistency))
            if not self._holds_a_lapse(warm.theta):
                return warm
        return self._climb(torch.zeros(self.root.shape[1] + 1, dtype=torch.float64))

    def _climb(self, start: Tensor) -> _Point:
        point = self.at(start)
        for _ in range(MAX_ITERATIONS):
            step = self._step(point)
            length = float(step.abs().max())
            if length < STEP_TOLERANCE:
                return point
            point = self._advance(point, step)
        raise NotConverged(
            f"posterior mode: the step is still {length:.1e} > {STEP_TOLERANCE:.0e} prior standard deviations after "
            f"{MAX_ITERATIONS} iterations; look for differences of extreme size in the evidence"
        )

    def _step(self, point: _Point) -> Tensor:
        fisher: Tensor = torch.linalg.solve(point.curvature, point.gradient)
        if float(fisher.abs().max()) > POLISH:
            return fisher
        factor, failed = torch.linalg.cholesky_ex(self.observed_curvature(point.theta))
        newton: Tensor = torch.cholesky_solve(point.gradient[:, None], factor).squeeze(-1)
        return fisher if int(failed) else newton

    def observed_curvature(self, theta: Tensor) -> Tensor:
        """−∇²f (r+1, r+1) at θ; not positive definite everywhere."""
        spread = self.model.log_consistency_std
        consistency, u = self._utilities(theta)
        jacobian = self._jacobian(consistency, u)
        score = self.model.score(u, self.outcomes)
        information = self.model.observed_information(u, self.outcomes)
        curvature = jacobian.T @ (information[:, None] * jacobian) + _identity(len(theta))
        # u is not linear in θ: ∂²u/∂a∂b = s·∂u/∂a and ∂²u/∂b² = s·∂u/∂b.
        bend = spread * (score @ jacobian)
        curvature[-1, :] -= bend
        curvature[:-1, -1] -= bend[:-1]
        return curvature

    def _utilities(self, theta: Tensor) -> tuple[float, Tensor]:
        consistency = math.exp(self.model.log_consistency_std * float(theta[-1]))
        return consistency, consistency * (self.offset + self.design @ theta[:-1])

    def _jacobian(self, consistency: float, u: Tensor) -> Tensor:
        return torch.cat([consistency * self.design, self.model.log_consistency_std * u[:, None]], dim=1)

    def _coordinates(self, mean: Tensor, log_consistency: float) -> Tensor:
        """θ (r+1,) of a given λ and log κ."""
        spread = self.model.log_consistency_std
        a = (self.root.T @ (mean - self.prior.mean)) / self.root.square().sum(0)
        return torch.cat([a, torch.tensor([log_consistency / spread if spread else 0.0], dtype=torch.float64)])

    def _holds_a_lapse(self, theta: Tensor) -> bool:
        attention = self.model.attention(self._utilities(theta)[1])
        return bool((attention.gather(-1, self.outcomes.column[:, None]) < 0.5).any())

    def _advance(self, point: _Point, step: Tensor) -> _Point:
        """The first of step, step/2, step/4, … that climbs enough."""
        slope = float(point.gradient @ step)
        noise = 1e-12 * (1 + abs(point.value))
        for halving in range(MAX_HALVINGS):
            length = 0.5**halving
            candidate = self.at(point.theta + length * step)
            if candidate.value >= point.value + 1e-4 * length * slope:
                return candidate
            # Close to the mode rounding hides the rise in f; there a flatter slope proves progress.
            flatter = abs(float(candidate.gradient @ step)) <= 0.9 * slope
            if flatter and candidate.value >= point.value - noise:
                return candidate
        raise NotConverged(f"posterior mode: no step of {MAX_HALVINGS} halvings climbs (slope {slope:.1e})")

    def log_evidence(self, mode: _Point) -> float:
        """Log of the component's weight times its Laplace marginal likelihood, nats up to a constant shared by all."""
        log_weight = math.log(self.prior.weight) if self.prior.weight > 0 else -math.inf
        return log_weight + mode.value - float(torch.linalg.slogdet(mode.curvature).logabsdet) / 2

    def component(self, mode: _Point, weight: float) -> Component:
        covariance = self.root @ torch.linalg.inv(mode.curvature)[:-1, :-1] @ self.root.T
        mean = self.prior.mean + self.root @ mode.theta[:-1]
        return Component(weight, mean, (covariance + covariance.T) / 2)

    def log_consistency(self, mode: _Point) -> float:
        return self.model.log_consistency_std * float(mode.theta[-1])


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
