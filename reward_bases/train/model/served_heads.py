"""Learned heads in the form that is served: on clipped features, with coefficients in nats per spread."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation.crowd import Crowd
from elicitation.population import Population
from reward_bases.train.data.judgments import NOBODY, Judgments
from reward_bases.train.features.space import Scaled
from reward_bases.train.model.heads import Factors
from reward_bases.train.model.learn import Learned, LearnSettings
from reward_bases.train.model.training_people import marginal, rescaled
from reward_bases.traits.pairs import spread_of

MIN_TASTE_SPREAD = 0.01
"""A taste head is pruned if people differ by less than this along it, nats."""
REFERENCE_SIZES = (16, 8, 4, 2)
FEWEST_PROMPTS, MOST_PROMPTS = 50, 200


@dataclass(frozen=True, eq=False)
class ServedHeads:
    """``kept`` (K,) numbers the served heads among those learned; ``pruned`` counts the others.

    ``weights`` (K, F), ``mean`` and ``spread`` (K,) make φ; ``population`` is that of λ (K,). The population was
    learned from ``crowd``, starting at ``start``; with votes these two have one head more, the last: approval.
    ``given`` bool are those of their heads that were not learned as tastes.
    """

    kept: Tensor
    pruned: int
    weights: Tensor
    mean: Tensor
    spread: Tensor
    population: Population
    crowd: Crowd
    start: Population
    given: Tensor

    def settings_in_units(self, settings: LearnSettings) -> LearnSettings:
        """The ``settings`` of learning with the spreads of their prior in nats per spread of the served heads."""
        units = self.spread[1 : 1 + len(settings.prior_spreads)].tolist()
        spreads = tuple(known * unit for known, unit in zip(settings.prior_spreads, units, strict=True))
        return replace(settings, prior_spreads=spreads)

    def standardise(self, features: Tensor) -> Tensor:
        """φ (…, K) of clipped features (…, F)."""
        return (features @ self.weights.T - self.mean) / self.spread


def serve_heads(
    judged: Judgments, scaled: Scaled, learned: Learned, factors: Factors, named: int, reference: Tensor | None
) -> ServedHeads:
    """The first head, the ``named`` ones after it, and every taste head that is not pruned.

    ``judged`` are the judgments learned from. Units are those of ``reference`` (P, n, F), clipped features; without
    one, those of the judged differences, with mean 0.
    """
    weights, crowd = scaled.raw(learned.heads), judged.crowd(learned.heads)
    if reference is None:
        mean, spread = torch.zeros(len(weights), dtype=torch.float64), _between(crowd)
    else:
        raw = (reference @ weights.T).flatten(0, 1)
        prompts = torch.arange(len(reference)).repeat_interleave(reference.shape[1])
        mean, spread = raw.mean(0), spread_of(raw, prompts)
    approval = [1 + named] if scaled.constant else []
    tastes = range(1 + named + len(approval), len(weights))
    width = spread * learned.population.covariance.diagonal().sqrt()
    kept = torch.tensor([*range(1 + named), *(k for k in tastes if float(width[k]) >= MIN_TASTE_SPREAD)])
    order = torch.cat([kept, torch.tensor(approval, dtype=torch.long)])
    factor = torch.cat([spread[kept], torch.ones(len(approval), dtype=torch.float64)])
    return ServedHeads(
        kept,
        len(weights) - len(order),
        weights[kept],
        mean[kept],
        spread[kept],
        rescaled(marginal(learned.population, kept), spread[kept]),
        Crowd(crowd.differences[:, order] / factor, crowd.people, crowd.outcomes, crowd.size),
        rescaled(marginal(factors.population, order), factor),
        order <= named + len(approval),
    )


def _between(crowd: Crowd) -> Tensor:
    spread: Tensor = (crowd.differences.square().mean(0) / 2).sqrt()
    return torch.where(spread > 1e-9, spread, torch.ones_like(spread))


def own_reference(judged: Judgments, scaled: Scaled, generator: torch.Generator) -> Tensor | None:
    """Clipped features (P, n, F) of n responses to each of P prompts of the data, drawn at random.

    n is the largest of REFERENCE_SIZES that FEWEST_PROMPTS prompts have; None if there is none.
    """
    pairs = torch.cat([torch.stack([judged.prompts, side], 1) for side in (judged.left, judged.right)])
    pairs = pairs[pairs[:, 1] != NOBODY].unique(dim=0)
    prompts, counts = pairs[:, 0].unique(return_counts=True)
    for size in REFERENCE_SIZES:
        enough = prompts[counts >= size]
        if len(enough) >= FEWEST_PROMPTS:
            drawn = enough[torch.randperm(len(enough), generator=generator)[:MOST_PROMPTS]]
            rows = [_some(pairs[pairs[:, 0] == prompt, 1], size, generator) for prompt in drawn]
            return scaled.clipped(torch.cat(rows)).reshape(len(drawn), size, -1)
    return None


def _some(items: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return items[torch.randperm(len(items), generator=generator)[:count]]
