"""Learned from real people's judgments: the quality head, two taste heads, the aggregate λ̄, the taste heads' spread and
the choice constants.

UKPConvArg1 (Habernal & Gurevych, ACL 2016): which of two arguments is more convincing, 2,664 crowd workers. PandaLM's
test set: which of two language-model responses is better, three annotators. Neither is a truth signal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from elicitation.choice import ChoiceModel, Outcomes
from elicitation.crowd import rank_within
from elicitation.empirical import learn, with_covariance_scaled
from elicitation.errors import NotConverged
from elicitation.population import Component, Population
from reward_bases.sources.features import FeatureSpace
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation
from reward_bases.train.data.judgments import NOBODY, InMemory, Judgments
from reward_bases.train.features.store import clipped_features
from reward_bases.train.features.vectors import VectorCache
from reward_bases.train.model.learn import Learned
from reward_bases.train.validate.covariance_scale import COVARIANCE_SCALES, Gains, remember, surest_scale
from reward_bases.train.validate.inner_fold import InnerFold, inner_folds
from reward_bases.traits.pairs import FOLDS, Pairs, chosen_inverse_ridge, logistic_direction, spread_of

SIGN = {"a": 1.0, "b": -1.0, "tie": 0.0}
MIN_JUDGMENTS = 20
MAX_JUDGMENTS = 200
LATENT = 2
IMPUTATION_ROUNDS, IMPUTATION_RANK = 10, 20
RIDGE_DIRECTIONS, RIDGE_PEOPLE = 20.0, 0.5
EM_ROUNDS = 30


@dataclass(frozen=True)
class SignedJudgments:
    """Signed judgments as pairs; ``people`` (N,) says who judged, ``item`` (N,) which pair of texts."""

    pairs: Pairs
    people: Tensor
    item: Tensor


def plain_features(
    vectors: VectorCache, prompts: Sequence[str], responses: Sequence[str], space: FeatureSpace
) -> Tensor:
    """Features (n, F), clipped to ``space``, of responses to plain prompts."""
    # Prompts are encoded apart: company changes the last bits of vectors, and with them the version of the basis.
    vectors.learn(prompts)
    pairs = [Pair(Conversation.of(prompt), said) for prompt, said in zip(prompts, responses, strict=True)]
    return clipped_features(pairs, vectors, space)


def load_ukp(folder: Path, vectors: VectorCache, space: FeatureSpace) -> SignedJudgments:
    """UKPConvArg1 from ``arguments.csv.gz`` and ``judgments.csv.gz``; groups are debates (both sides together)."""
    arguments = pd.read_csv(folder / "arguments.csv.gz")
    judged = pd.read_csv(folder / "judgments.csv.gz")
    table = plain_features(vectors, list(arguments["prompt"]), list(arguments["text"]), space)
    row = {argument: i for i, argument in enumerate(arguments["id"])}
    left, right = (torch.tensor([row[i] for i in judged[side]]) for side in ("a", "b"))
    debates = arguments["prompt"].str.extract(r"Debate: (.*?) Argue", expand=False)
    groups = torch.tensor(pd.factorize(debates)[0])
    signs = torch.tensor([SIGN[choice] for choice in judged["choice"]], dtype=torch.float64)
    pairs = Pairs(table[left] - table[right], signs, groups[left], torch.ones_like(signs))
    return SignedJudgments(pairs, torch.tensor(judged["user"].to_numpy()), left * len(arguments) + right)


def load_pandalm(folder: Path, vectors: VectorCache, space: FeatureSpace) -> SignedJudgments:
    """PandaLM's test set from ``judgments.csv.gz``; groups are items."""
    judged = pd.read_csv(folder / "judgments.csv.gz", dtype=str, keep_default_na=False)
    prompts = list(judged["prompt"])
    left, right = (plain_features(vectors, prompts, list(judged[f"response_{side}"]), space) for side in ("a", "b"))
    signs = torch.tensor([SIGN[choice] for choice in judged["choice"]], dtype=torch.float64)
    items = torch.tensor([int(item) for item in judged["item"]])
    pairs = Pairs(left - right, signs, items, torch.ones_like(signs))
    return SignedJudgments(pairs, torch.tensor([int(a) for a in judged["annotator"]]), items)


def pooled(first: SignedJudgments, second: SignedJudgments) -> Pairs:
    """Both sets as one, each with the weight of 1,000 judgments; groups stay apart."""
    sets = (first.pairs, second.pairs)
    offset = int(first.pairs.groups.max()) + 1
    return Pairs(
        torch.cat([s.differences for s in sets]),
        torch.cat([s.labels for s in sets]),
        torch.cat([first.pairs.groups, second.pairs.groups + offset]),
        torch.cat([torch.full_like(s.weights, 1000 / len(s.labels)) for s in sets]),
    )


def slopes_on(styles: Tensor, differences: Tensor, weights: Tensor) -> Tensor:
    """Least-squares slopes (S, F) of feature differences (N, F) on their style values, ``differences @ stylesᵀ``."""
    values = differences @ styles.T
    weighted = values * weights[:, None]
    slopes: Tensor = torch.linalg.lstsq(weighted.T @ values, weighted.T @ differences).solution
    return slopes


@dataclass(frozen=True)
class Controls:
    """Directions that people's heads must not use.

    ``styles`` (S, F): log length and the designed heads; ``bank`` (M, F): differences between the bank's answers, of
    equal quality by design; ``allowed`` (F,) bool: features that do not count length or layout.
    """

    styles: Tensor
    bank: Tensor
    allowed: Tensor

    def residual(self, pairs: Pairs) -> Pairs:
        """The pairs' allowed features once every style is regressed out."""
        values = pairs.differences @ self.styles.T
        rest = pairs.differences - values @ slopes_on(self.styles, pairs.differences, pairs.weights)
        return Pairs(rest * self.allowed, pairs.labels, pairs.groups, pairs.weights)

    def beyond_style(self, directions: Tensor) -> Tensor:
        """Directions (…, F) made uncorrelated with every style over the bank."""
        slopes = slopes_on(self.styles, self.bank, torch.ones(len(self.bank), dtype=torch.float64))
        return directions - (directions @ slopes.T) @ self.styles


def quality_direction(pairs: Pairs, controls: Controls) -> Tensor:
    """Weights (F,) of what people prefer beyond length and style."""
    kept = controls.residual(pairs)
    scale = _scale(kept.differences)
    return controls.beyond_style(logistic_direction(kept, scale, chosen_inverse_ridge(kept, scale)) * controls.allowed)


def _scale(differences: Tensor) -> Tensor:
    scale = differences.std(0)
    return torch.where(scale > 1e-9, scale, torch.ones_like(scale))


def taste_directions(judgments: SignedJudgments, controls: Controls) -> Tensor:
    """Directions (2, F) along which people differ most from the mean judge (PReF: imputed SVD start, then likelihood).

    Beyond length and style, like quality; uses people with at least MIN_JUDGMENTS judgments; each direction's largest
    standardised weight is positive.
    """
    counts = torch.bincount(judgments.people)
    keep = counts[judgments.people] >= MIN_JUDGMENTS
    pairs = controls.residual(judgments.pairs.where(keep))
    _, who = judgments.people[keep].unique(return_inverse=True)
    _, item = judgments.item[keep].unique(return_inverse=True)
    scale = _scale(pairs.differences)
    x, y = pairs.differences / scale, (pairs.labels + 1) / 2
    directions, people = _factorise(x, y, who, item)
    deviations = (people - people.mean(0)) @ directions
    tastes = torch.linalg.svd(deviations, full_matrices=False)[2][:LATENT]
    largest = tastes.gather(1, tastes.abs().argmax(1, keepdim=True))
    return controls.beyond_style(tastes * largest.sign() / scale * controls.allowed)


def _factorise(x: Tensor, y: Tensor, who: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
    """Directions (R, F) and people (U, R): logit = peopleᵀ·(directions·x), R = LATENT + 1 (the mean judge's)."""
    left, values, right = _imputed_svd(y, who, item)
    by_item = torch.zeros(len(right), x.shape[1], dtype=torch.float64)
    by_item[item] = x
    gram = by_item.T @ by_item + 100 * torch.eye(x.shape[1], dtype=torch.float64)
    directions = torch.linalg.solve(gram, by_item.T @ (right * values.sqrt())).T.clone().requires_grad_()
    people = (left * values.sqrt()).clone().requires_grad_()
    optimiser = torch.optim.LBFGS([directions, people], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        z = ((x @ directions.T) * people[who]).sum(1)
        penalty = RIDGE_DIRECTIONS * directions.square().sum() + RIDGE_PEOPLE * people.square().sum()
        value = binary_cross_entropy_with_logits(z, y, reduction="sum") + penalty
        value.backward()
        return float(value.detach())

    optimiser.step(loss)
    return directions.detach(), people.detach()


def _imputed_svd(y: Tensor, who: Tensor, item: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Leading factors of people × items after filling missing cells by low-rank rounds (Shenfeld et al. 2025)."""
    matrix = torch.full((int(who.max()) + 1, int(item.max()) + 1), 0.5, dtype=torch.float64)
    matrix[who, item] = y
    torch.manual_seed(0)
    for _ in range(IMPUTATION_ROUNDS):
        u, s, v = torch.svd_lowrank(matrix - 0.5, q=IMPUTATION_RANK)
        matrix = ((u * s) @ v.T + 0.5).clamp(0, 1)
        matrix[who, item] = y
    rank = LATENT + 1
    return u[:, :rank], s[:rank], v[:, :rank]


def held_out_quality(pairs: Pairs, controls: Controls, reference: Tensor, prompts: Tensor) -> Tensor:
    """Quality differences (N,) in spreads of the reference features (n, F), each from a head that never saw its group.

    A coefficient fitted on the head's own training pairs would be too large; on these it is what the head is worth.
    """
    values = torch.zeros(len(pairs.labels), dtype=torch.float64)
    for train, test in GroupKFold(FOLDS).split(pairs.groups, groups=pairs.groups.numpy()):
        direction = quality_direction(pairs.where(torch.from_numpy(train)), controls)
        spread = spread_of((reference @ direction)[:, None], prompts)
        values[test] = (pairs.differences[test] @ direction) / spread
    return values


def common_taste(pairs: Pairs, split: int, prior_std: Tensor) -> Tensor:
    """λ̄ (K,): what both judgment sets (rows before and after ``split``) show, at the weaker of their two strengths."""
    rows = torch.arange(len(pairs.labels))
    first, second = (aggregate(pairs.where(part), prior_std) for part in (rows < split, rows >= split))
    agreed = first.sign() * torch.minimum(first.abs(), second.abs())
    return torch.where(first.sign() == second.sign(), agreed, torch.zeros_like(first))


def aggregate(pairs: Pairs, prior_std: Tensor) -> Tensor:
    """Mean coefficients (K,): ridge logistic fit on φ-differences with prior N(0, prior_std²) per head."""
    free = prior_std > 0
    kept = Pairs(pairs.differences[:, free], pairs.labels, pairs.groups, pairs.weights)
    mean = torch.zeros_like(prior_std)
    mean[free] = logistic_direction(kept, 1 / prior_std[free], 1.0)
    return mean


def choice_constants(utilities: Tensor, signs: Tensor) -> dict[str, float]:
    """Maximum-likelihood tie, side bias and lapse for judgments (N,) of pairs with utility differences (N,), nats.

    A free factor on the utilities keeps their scale from posing as lapse or ties. Raises NotConverged.
    """
    column = (1 - signs).long()
    raw = torch.tensor([0.0, 0.0, -3.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([raw], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def loss() -> Tensor:
        optimiser.zero_grad()
        log_tie, bias, lapse_logit, log_factor = raw
        u = log_factor.exp() * utilities + bias
        p = torch.stack([u / 2, log_tie.expand_as(u), -u / 2], dim=-1).softmax(-1)
        lapse = lapse_logit.sigmoid()
        value: Tensor = -((1 - lapse) * p + lapse / 3).gather(-1, column[:, None]).log().mean()
        value.backward()
        return value

    optimiser.step(loss)
    loss()
    if raw.grad is None or float(raw.grad.abs().max()) > 1e-4:
        raise NotConverged(f"choice constants: gradient {raw.grad} after 200 iterations")
    log_tie, bias, lapse_logit, _ = raw.detach()
    return {"tie": float(log_tie.exp()), "side_bias": float(bias), "lapse": float(lapse_logit.sigmoid())}


def taste_spread(
    judgments: SignedJudgments, mean: Tensor, free: Tensor, start: Tensor, model: ChoiceModel
) -> tuple[Tensor, dict[str, float]]:
    """Covariance (K, K) over people of the ``free`` heads (K,) bool, and the log-likelihoods that decided its scale.

    The other heads are held at ``mean``. ``judgments.pairs`` hold φ-differences. The covariance is learned by empirical
    Bayes; its scale is the one that held-out people support on debates that taught nothing. People with MIN_JUDGMENTS
    count, with at most MAX_JUDGMENTS of theirs, so that no one decides.
    """
    judged, heads = _judged(judgments), torch.eye(len(mean), dtype=torch.float64)
    prior = Population((Component(1.0, mean, start * (free[:, None] & free)),))

    def learned(of: Judgments) -> Learned:
        return Learned(heads, learn(of.crowd(heads), model, prior, EM_ROUNDS).population, model)

    parts, memory = inner_folds(judged, True, torch.Generator().manual_seed(0)), dict[str, float]()
    remember(_gains(parts, [learned(part.teach) for part in parts]), "strength", memory)
    scale = surest_scale("strength", memory) or COVARIANCE_SCALES[0]
    return with_covariance_scaled(learned(judged).population, scale).covariance, {"strength": scale, **memory}


def _gains(parts: Sequence[InnerFold], known: Sequence[Learned]) -> Gains:
    """Of COVARIANCE_SCALES on the smallest of them."""
    found = [
        part.log_likelihoods(one, [with_covariance_scaled(one.population, scale) for scale in COVARIANCE_SCALES])
        for part, one in zip(parts, known, strict=True)
    ]
    return Gains.of(torch.cat([each - each[0] for each in found], dim=1), parts)


def _judged(judgments: SignedJudgments) -> Judgments:
    """Every pair as an item of its own; a debate is a prompt."""
    people = judgments.people
    counted = (torch.bincount(people)[people] >= MIN_JUDGMENTS) & (rank_within(people) < MAX_JUDGMENTS)
    order = torch.argsort(people, stable=True)
    rows = order[counted[order]]
    numbers, who = people[rows].unique(return_inverse=True)
    pairs, signs = judgments.pairs, judgments.pairs.labels[rows]
    return Judgments(
        InMemory(pairs.differences[rows]),
        torch.arange(len(rows)),
        torch.full_like(rows, NOBODY),
        who,
        pairs.groups[rows],
        Outcomes((1 - signs).long(), signs, torch.zeros_like(signs)),
        len(numbers),
    )
