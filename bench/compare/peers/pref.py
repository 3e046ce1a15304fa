"""PReF: Shenfeld, Faltings, Agrawal and Pacchiano (2025), Language model personalization via reward factorization.

Literal, from arXiv 2503.06358 and the released code: r = λᵀφ, P(left) = σ(λᵀΔφ); the start by imputing ½ and ten
rounds of SVD at rank ≤ 100 clipped to [0, 1], then U√S and V√S[:K]; maximum likelihood with 0.02·mean‖Δφ‖₂, a tie
counting half a win for each side; a new person by maximum likelihood without a prior; the first question random, then
argmax σ'(λᵀv)²·vᵀΣ⁻¹v with Σ = 0.001·I + Σ_s σ'(λᵀv_s)·v_s·v_sᵀ.

Ours: heads linear in the features (Δφ = W·x), V-rows carried over to W by ridge regression; the matrix is centred at ½
before the SVD, lest the constant cost a head, and counts four times, the slope of log-odds at ½; at most 3,000 people
and 6,000 pairs, those with most judgments, enter it; a ridge 0.1·mean|λ|² over the training people, without which no
maximum exists, after whom the heads are scaled so that their coefficients have mean square 1.

``pref-published`` tunes K alone. ``pref`` also tunes a common factor of both penalties and, beyond what was published,
an L2 ridge on W, without which PReF memorises its training prompts if features are many. ``pref-tuned`` has a
tuned ridge on a new person's λ besides: a prior, if one with mean zero, which the published rule has not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import torch
from torch import Tensor

from bench.compare.peers.answers import Answers
from bench.compare.peers.fitting import descend, logistic, noise
from bench.compare.peers.linear import inside, random_row
from bench.compare.peers.tuning import Reader, Split, rehearse, splits, tuned
from bench.compare.world import World
from elicitation.crowd import Crowd

MAX_PEOPLE, MAX_PAIRS, RANK, ROUNDS = 3000, 6000, 100, 10
HEAD_PENALTY, PEOPLE_RIDGE, START_RIDGE, SIGMA_FLOOR = 0.02, 0.1, 1e-2, 1e-3
ITERATIONS, TUNING_ITERATIONS = 100, 40


@dataclass(frozen=True)
class PrefSettings:
    """``heads`` K, the factor of both published ``penalties``, ``ridge`` on W, ``own`` ridge of a new person."""

    heads: int = 6
    penalties: float = 1.0
    ridge: float = 100.0
    own: float = 1.0


GRIDS: dict[str, tuple[float, ...]] = {
    "ridge": (0.0, 1.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    "own": (1e-3, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "penalties": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    "heads": (2, 4, 6, 8, 12, 16),
}
NO_PRIOR = 1e-3
"""The published rule's ridge on a new person's λ: no more than a maximum needs to exist."""


@dataclass(frozen=True, eq=False)
class PrefBelief:
    """P(left) = σ(λᵀWv): ``heads`` W (K, F), ``coefficients`` λ (P, K), ``observed`` seen through the heads."""

    heads: Tensor
    coefficients: Tensor
    observed: Answers

    def choose(self, person: int, pool: Tensor, allowed: Tensor, generator: torch.Generator) -> int:
        """Any row at first, then the one whose probability is the least certain."""
        asked = self.observed.differences[self.observed.pair[self.observed.people == person]]
        if len(asked) == 0:
            return random_row(allowed, generator)
        gain = uncertainty(self.coefficients[person], asked, pool @ self.heads.T)
        return int(torch.where(allowed, gain, -torch.inf).argmax())

    def prefer(self, person: int, targets: Tensor) -> Tensor:
        """P(left) (T,) for differences ``targets`` (T, F)."""
        return inside((targets @ self.heads.T @ self.coefficients[person]).sigmoid())


@dataclass(frozen=True, eq=False)
class PrefMethod:
    """The learned ``heads`` (K, F) and the ridge of a new person's coefficients."""

    heads: Tensor
    own: float

    def believe(self, observed: Crowd) -> PrefBelief:
        """Everybody's coefficients by maximum likelihood under the ridge."""
        seen = Answers.of_crowd(observed).seen_through(self.heads)
        return PrefBelief(self.heads, logistic(seen, self.own), seen)


def pref_published(world: World) -> PrefMethod:
    """PReF with its penalties as they are."""
    tried = {"heads": GRIDS["heads"]}
    settings = best_settings(splits(world), PrefSettings(ridge=0.0), tried, world.seed)
    return fitted(world, replace(settings, own=NO_PRIOR))


def pref(world: World) -> PrefMethod:
    """PReF: the heads of ``pref_tuned``, a new person without a prior."""
    return replace(pref_tuned(world), own=NO_PRIOR)


@lru_cache(maxsize=1)
def pref_tuned(world: World) -> PrefMethod:
    """PReF with a prior; kept for the world last asked for, since other peers share its heads."""
    return fitted(world, best_settings(splits(world), PrefSettings(), GRIDS, world.seed))


def fitted(world: World, settings: PrefSettings) -> PrefMethod:
    """Heads from everybody's training judgments."""
    answers = Answers.of_training(world)
    return PrefMethod(maximise(answers, factorise(answers, world.seed), settings), settings.own)


def uncertainty(coefficients: Tensor, asked: Tensor, pool: Tensor) -> Tensor:
    """σ'(λᵀv)²·vᵀΣ⁻¹v (n,) for the rows v of ``pool`` (n, K), given λ (K,) and the questions ``asked`` (s, K)."""
    weights = slope(asked @ coefficients)
    sigma = SIGMA_FLOOR * torch.eye(len(coefficients), dtype=torch.float64) + asked.T @ (weights[:, None] * asked)
    spread = (pool.T * torch.linalg.solve(sigma, pool.T)).sum(0)
    gain: Tensor = slope(pool @ coefficients).square() * spread
    return gain


def slope(z: Tensor) -> Tensor:
    """σ'(z), also where σ is 0 or 1 to rounding."""
    return z.sigmoid() * (-z).sigmoid()


def best_settings(
    parts: Sequence[Split], start: PrefSettings, grids: Mapping[str, Sequence[float]], seed: int
) -> PrefSettings:
    """Those under which people left out are predicted best; what has no grid stays as at the start."""
    starts = {part.learn: factorise(part.learn, seed) for part in parts}

    @cache
    def heads(learn: Answers, settings: PrefSettings) -> Tensor:
        return maximise(learn, starts[learn], settings, TUNING_ITERATIONS)

    def value(settings: PrefSettings) -> float:
        shared = replace(settings, own=1.0)
        return rehearse(parts, lambda learn: own_weights(heads(learn, shared), settings.own))

    return tuned(start, grids, value)


def own_weights(heads: Tensor, ridge: float) -> Reader:
    """Everybody's logistic ridge on ``heads`` (K, F), as weights on the features."""
    return lambda observed: logistic(observed.seen_through(heads), ridge) @ heads


def factorise(answers: Answers, seed: int) -> tuple[Tensor, Tensor]:
    """The start: people (P, R) and features (F, R), best direction first, by imputation and SVD."""
    people, pairs = busiest(answers.people, MAX_PEOPLE), busiest(answers.pair, MAX_PAIRS)
    matrix, seen = table(answers, people, pairs)
    rank = min(RANK, *matrix.shape, answers.features)
    filled, right = matrix.clone(), noise(len(pairs), rank, seed=seed, scale=1.0)
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(filled @ torch.linalg.qr(filled.T @ (filled @ right)).Q).Q
        left, sizes, rows = torch.linalg.svd(basis.T @ filled, full_matrices=False)
        left, right = basis @ left, rows.T
        filled = torch.where(seen, matrix, (left * sizes) @ rows).clamp(-0.5, 0.5)
    everybody = torch.zeros(answers.size, rank, dtype=torch.float64)
    everybody[people] = 2 * left * sizes.sqrt()
    x = answers.differences[pairs]
    gram = x.T @ x
    gram += START_RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    return everybody, torch.linalg.solve(gram, 2 * x.T @ (right * sizes.sqrt()))


def busiest(index: Tensor, most: int) -> Tensor:
    """The at most ``most`` values of ``index`` (N,) that occur most often, in rising order."""
    values, counts = torch.unique(index, return_counts=True)
    often: Tensor = values[counts.sort(descending=True, stable=True).indices[:most]]
    return often.sort().values


def table(answers: Answers, people: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean answers minus ½ of ``people`` to ``pairs`` (p, q), 0 where there is none, and which were given."""
    row, column = torch.full((answers.size,), -1), torch.full((len(answers.differences),), -1)
    row[people], column[pairs] = torch.arange(len(people)), torch.arange(len(pairs))
    kept = (row[answers.people] >= 0) & (column[answers.pair] >= 0)
    place = (row[answers.people[kept]], column[answers.pair[kept]])
    total, count = torch.zeros(2, len(people), len(pairs), dtype=torch.float64).unbind(0)
    total.index_put_(place, answers.wins[kept] - 0.5, accumulate=True)
    count.index_put_(place, torch.ones(1, dtype=torch.float64), accumulate=True)
    return total / count.clamp_min(1), count > 0


def maximise(
    answers: Answers, start: tuple[Tensor, Tensor], settings: PrefSettings, iterations: int = ITERATIONS
) -> Tensor:
    """K heads (K, F) by regularised maximum likelihood from the first K directions of ``start``."""
    people, features = (part[:, : settings.heads].clone(memory_format=torch.contiguous_format) for part in start)
    judged = torch.bincount(answers.pair, minlength=len(answers.differences)).double() / max(len(answers), 1)

    def loss() -> Tensor:
        phi = answers.differences @ features
        utilities = (phi.index_select(0, answers.pair) * people.index_select(0, answers.people)).sum(1)
        lengths = (phi.square().sum(1) + 1e-12).sqrt()
        published = HEAD_PENALTY * judged @ lengths + PEOPLE_RIDGE * people.square().sum(1).mean()
        ridge = settings.ridge / 2 * features.square().sum() / max(len(answers), 1)
        return settings.penalties * published + ridge - answers.log_likelihood(utilities).mean()

    descend(loss, [people, features], iterations)
    return people.square().mean().sqrt() * features.T
