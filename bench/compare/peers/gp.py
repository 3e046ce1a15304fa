"""A Gaussian process of one's own for every person: BoTorch's PairwiseGP with EUBO or BALD.

Sources: Chu and Ghahramani (2005), Preference learning with Gaussian processes (PairwiseGP's Laplace fit); Lin et al.
(2022), Preference exploration for efficient Bayesian optimization (EUBO); Houlsby et al. (2011), eq. 2 (BALD).
Literal: BoTorch's model, priors of lengthscales and output scale, probit likelihood and marginal-likelihood fit; its
analytic EUBO over the pool.

Ours: items are points of the heads that PReF learned, each head scaled to differences between −1 and 1 on the training
pairs; a peer sees differences alone, so that a pair is the two points ±v/2, which a linear kernel cannot tell from the
items themselves and an RBF kernel can; BALD by quadrature over the posterior of the utility difference; ties left out.
Before the first answer every probability is ½ and the question random.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import torch
from botorch.acquisition.preference import AnalyticExpectedUtilityOfBestOption
from botorch.exceptions.errors import ModelFittingError
from botorch.exceptions.warnings import OptimizationWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models.pairwise_gp import PairwiseGP, PairwiseLaplaceMarginalLogLikelihood
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.constraints import Interval
from gpytorch.kernels import LinearKernel, ScaleKernel
from gpytorch.priors import SmoothedBoxPrior
from gpytorch.utils.warnings import NumericalWarning
from torch import Tensor

from bench.compare.method import Recipe
from bench.compare.peers.answers import Answers
from bench.compare.peers.linear import inside, random_row
from bench.compare.peers.pref import pref_tuned
from bench.compare.world import World
from elicitation.crowd import Crowd
from elicitation.quadrature import gauss_hermite

NODES = 32
INDISTINCT = 1e-6
"""Difference of two points that PairwiseGP would merge."""

Kernel = Callable[[], ScaleKernel | None]
Rule = Callable[[PairwiseGP, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class GpBelief:
    """``models`` per person, None where nothing was decided; ``heads`` (K, F) lead from features to items."""

    heads: Tensor
    models: tuple[PairwiseGP | None, ...]
    rule: Rule

    def choose(self, person: int, pool: Tensor, allowed: Tensor, generator: torch.Generator) -> int:
        """The best allowed row by the rule; any row at first."""
        model = self.models[person]
        if model is None:
            return random_row(allowed, generator)
        rows = allowed.nonzero().squeeze(-1)
        with torch.no_grad():
            return int(rows[self.rule(model, ends(pool[rows] @ self.heads.T)).argmax()])

    def prefer(self, person: int, targets: Tensor) -> Tensor:
        """P(left) (T,) for differences ``targets`` (T, F)."""
        model = self.models[person]
        if model is None:
            return torch.full((len(targets),), 0.5, dtype=torch.float64)
        with torch.no_grad():
            mean, variance = difference(model, ends(targets @ self.heads.T))
        return inside(torch.special.ndtr(mean / (2 + variance).sqrt()))


@dataclass(frozen=True, eq=False)
class GpMethod:
    """A kernel and a question rule on the scaled ``heads`` (K, F); ``known`` are models by what they were fitted to."""

    heads: Tensor
    kernel: Kernel
    rule: Rule
    known: dict[bytes, PairwiseGP] = field(default_factory=dict)

    def believe(self, observed: Crowd) -> GpBelief:
        """One refit per person who decided something more; a tie leaves their model as it was."""
        seen = Answers.of_crowd(observed).decided().seen_through(self.heads)
        return GpBelief(self.heads, tuple(self._fit(seen, person) for person in range(observed.size)), self.rule)

    def _fit(self, seen: Answers, person: int) -> PairwiseGP | None:
        # A pair that every head calls equal is one point, of which there is nothing to compare.
        apart = seen.differences.abs().amax(1) > INDISTINCT
        own = (seen.people == person) & apart[seen.pair]
        if not bool(own.any()):
            return None
        left = 2 * torch.arange(int(own.sum()))
        order = torch.stack([left, left + 1], 1)
        comparisons = torch.where(seen.wins[own][:, None] == 1, order, order.flip(1))
        points = ends(seen.differences[seen.pair[own]]).flatten(0, 1)
        data = points.numpy().tobytes() + comparisons.numpy().tobytes()
        if data not in self.known:
            self.known[data] = fitted(points, comparisons, self.kernel)
        return self.known[data]


def gp_linear_eubo(world: World) -> GpMethod:
    """A linear kernel, and the pair whose better item is expected to be best."""
    return GpMethod(scaled_heads(world), linear_kernel, eubo)


def gp_rbf_bald(world: World) -> GpMethod:
    """BoTorch's default RBF kernel, and the pair whose answer tells most about the utilities."""
    return GpMethod(scaled_heads(world), rbf_kernel, bald)


RECIPES: dict[str, Recipe] = {"gp-linear-eubo": gp_linear_eubo, "gp-rbf-bald": gp_rbf_bald}


def scaled_heads(world: World) -> Tensor:
    """PReF's heads (K, F), each with differences of at most 1 on the training pairs."""
    heads = pref_tuned(world).heads
    largest = (Answers.of_training(world).differences @ heads.T).abs().amax(0)
    return heads / largest.clamp_min(1e-12)[:, None]


def ends(differences: Tensor) -> Tensor:
    """Two points per pair: (n, K) -> (n, 2, K)."""
    return torch.stack([differences / 2, -differences / 2], 1)


def linear_kernel() -> ScaleKernel:
    """xᵀx' times an output scale under BoTorch's own prior and bounds of it."""
    linear = LinearKernel()
    linear.variance = 1.0
    linear.raw_variance.requires_grad_(False)
    prior, bounds = SmoothedBoxPrior(1e-2, 1e2), Interval(5e-3, 2e2, initial_value=1.0)
    scaled: ScaleKernel = ScaleKernel(linear, outputscale_prior=prior, outputscale_constraint=bounds).double()
    return scaled


def rbf_kernel() -> None:
    """PairwiseGP's default."""


def fitted(points: Tensor, comparisons: Tensor, kernel: Kernel) -> PairwiseGP:
    """PairwiseGP on ``points`` (2n, K) with ``comparisons`` (n, 2) winner first, hyperparameters fitted.

    Where every one of BoTorch's attempts to fit them fails, they stay at their defaults.
    """
    with numerics_expected(), torch.random.fork_rng(devices=[]):
        # A second attempt starts from draws out of the hyperparameters' priors.
        torch.manual_seed(0)
        model = PairwiseGP(points, comparisons, covar_module=kernel())
        try:
            fit_gpytorch_mll(PairwiseLaplaceMarginalLogLikelihood(model.likelihood, model))
        except ModelFittingError:
            return PairwiseGP(points, comparisons, covar_module=kernel())
    return model


@contextmanager
def numerics_expected() -> Iterator[None]:
    """More points than heads have a singular covariance under a linear kernel: GPyTorch adds jitter and says so, and
    BoTorch reports attempts to fit that ended early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        warnings.simplefilter("ignore", OptimizationWarning)
        yield


def difference(model: PairwiseGP, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior mean and variance (n,) of the utility of left minus right, for ``pairs`` (n, 2, K)."""
    with numerics_expected():
        utilities = cast(GPyTorchPosterior, model.posterior(pairs))
    mean, covariance = utilities.mean.squeeze(-1), utilities.distribution.covariance_matrix
    variance = covariance[:, 0, 0] + covariance[:, 1, 1] - 2 * covariance[:, 0, 1]
    return mean[:, 0] - mean[:, 1], variance.clamp_min(0)


def eubo(model: PairwiseGP, pairs: Tensor) -> Tensor:
    """Expected utility (n,) of the better item of each pair."""
    with numerics_expected():
        values: Tensor = AnalyticExpectedUtilityOfBestOption(pref_model=model)(pairs)
    return values


def bald(model: PairwiseGP, pairs: Tensor) -> Tensor:
    """Mutual information (n,) of answer and utilities, nats; P(left | f) = Φ(f/√2)."""
    mean, variance = difference(model, pairs)
    x, w = gauss_hermite(NODES)
    given = entropy(torch.special.ndtr((mean[:, None] + variance.sqrt()[:, None] * x) / 2**0.5)) @ w
    return entropy(torch.special.ndtr(mean / (2 + variance).sqrt())) - given


def entropy(p: Tensor) -> Tensor:
    """Of a yes that has probability p, nats."""
    total: Tensor = torch.special.entr(p) + torch.special.entr(1 - p)
    return total
