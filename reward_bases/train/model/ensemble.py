"""Bootstrap of heads: refitted on people drawn with replacement, to measure their dependence on the sample."""

from collections.abc import Callable

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.model.heads import Factors, moments, refit_heads
from reward_bases.train.model.learn import LearnSettings, everybodys_head


def ensemble(
    judged: Judgments,
    model: ChoiceModel,
    factors: Factors,
    fixed: int,
    settings: LearnSettings,
    size: int,
    progress: Callable[[int, int], None],
) -> Tensor:
    """Heads (S, K, F): one M step from ``factors`` on each of ``size`` crowds drawn with replacement."""
    members = []
    for number in range(size):
        drawn = resampled(judged, torch.Generator().manual_seed(settings.seed + number))
        members.append(_refitted(drawn, model, factors, fixed, settings))
        progress(number + 1, size)
    return torch.stack(members) if members else torch.zeros(0, *factors.heads.shape, dtype=torch.float64)


def _refitted(drawn: Judgments, model: ChoiceModel, factors: Factors, fixed: int, settings: LearnSettings) -> Tensor:
    """Heads (K, F); an aggregate head that M steps leave alone is fitted to the people ``drawn`` by itself."""
    people = moments(factors.population, model, drawn.crowd(factors.heads))
    heads = refit_heads(drawn, model, factors.heads, people, fixed, settings.ridges)
    if not settings.mean_held:
        return heads
    aggregate, _ = everybodys_head(drawn, model, factors.heads[1 : 1 + fixed], settings)
    return torch.cat([aggregate[None], heads[1:]])


def resampled(judged: Judgments, generator: torch.Generator) -> Judgments:
    """As many people, drawn with replacement; one drawn twice counts as two."""
    drawn = torch.randint(judged.size, (judged.size,), generator=generator).sort().values
    count = torch.bincount(judged.people, minlength=judged.size)
    first = torch.searchsorted(judged.people, torch.arange(judged.size))
    people = torch.arange(judged.size).repeat_interleave(count[drawn])
    starts = count[drawn].cumsum(0) - count[drawn]
    rows = first[drawn][people] + torch.arange(len(people)) - starts[people]
    part = judged.where(rows) if len(rows) else judged
    return Judgments(part.items, part.left, part.right, people, part.prompts, part.outcomes, judged.size)


def disagreement(weights: Tensor, members: Tensor, reference: Tensor, spread: Tensor) -> Tensor:
    """Mean over reference features (n, F) of the members' (S, K, F) distance from heads (K, F), in spreads (K,)."""
    centred = reference - reference.mean(0)
    apart = torch.einsum("nf,skf->snk", centred, members - weights)
    return apart.square().mean((0, 1)).sqrt() / spread
