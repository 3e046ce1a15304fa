"""People held out within training, to measure the heads and population learned from the others.

The people of a fold teach nothing. Up to ``ANSWERS`` judgments of each are read as answers, and the measure is the
log-likelihood of their other judgments.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.crowd import Beliefs, Crowd, infer_many, rank_within
from elicitation.empirical import with_covariance_scaled
from elicitation.quadrature import gauss_hermite
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.model.learn import Learned
from reward_bases.train.validate.folds import Fold, folds

ANSWERS = 10
ANSWER_DRAWS = 2
"""How often a held-out person's answers are drawn from their judgments."""
NODES = 16


@dataclass(frozen=True, eq=False)
class Draw:
    """``observed`` judgments, which are read as answers, and the ``held_out`` ones of the same people to predict."""

    observed: Judgments
    held_out: Judgments

    @property
    def without_answers(self) -> "Draw":
        """The same with nothing observed."""
        nothing = torch.zeros(len(self.observed), dtype=torch.bool)
        return Draw(self.observed.where(nothing), self.held_out)

    def log_likelihoods(self, learned: Learned, covariance_scales: Sequence[float]) -> Iterator[Tensor]:
        """Log-likelihood (N,) of the held-out judgments, nats, at one covariance scale after the other."""
        observed, held_out, means = self.observed.crowd(learned.heads), self.held_out.crowd(learned.heads), None
        for scale in covariance_scales:
            beliefs = infer_many(with_covariance_scaled(learned.population, scale), learned.model, observed, means)
            yield log_likelihood(beliefs, learned.model, held_out)
            means = beliefs.means


@dataclass(frozen=True, eq=False)
class InnerFold:
    """``teach``: the judgments to learn from; ``draws``: several divisions of the others' judgments."""

    teach: Judgments
    draws: tuple[Draw, ...]

    @classmethod
    def of(cls, judged: Judgments, fold: Fold, generator: torch.Generator) -> "InnerFold":
        """With people and prompts of the ``fold`` left out."""
        own = fold.people[judged.people]
        rest, old = judged.where(own), ~fold.new[own]
        draws = []
        for _ in range(ANSWER_DRAWS):
            observed = _few_of_each(rest.people, old, generator)
            held_out = ~old if bool(fold.new.any()) else ~observed
            draws.append(Draw(*(rest.where(rows).of_people(fold.people) for rows in (observed, held_out))))
        return cls(judged.where(~own & ~fold.new).of_people(~fold.people), tuple(draws))

    def without_answers(self) -> "InnerFold":
        """The same with nothing observed."""
        return InnerFold(self.teach, tuple(draw.without_answers for draw in self.draws))

    def log_likelihoods(self, learned: Learned, covariance_scales: Sequence[float]) -> Tensor:
        """Log-likelihood of the held-out judgments, summed over each person's (S, P), nats.

        The population's covariance is multiplied by each of the S ``covariance_scales``.
        """
        total = torch.zeros(len(covariance_scales), self.draws[0].observed.size, dtype=torch.float64)
        for draw in self.draws:
            for row, each in zip(total, draw.log_likelihoods(learned, covariance_scales), strict=True):
                row.index_add_(0, draw.held_out.people, each)
        return total

    def judgments(self) -> Tensor:
        """How many judgments of each person are held out, over all draws (P,)."""
        held_out = [draw.held_out for draw in self.draws]
        return torch.stack([torch.bincount(part.people, minlength=part.size) for part in held_out]).sum(0)

    def mean_log_likelihoods(self, learned: Learned, covariance_scales: Sequence[float]) -> list[float]:
        """Mean log-likelihood of the held-out judgments, nats, at each of the ``covariance_scales``."""
        judgments = sum(len(draw.held_out) for draw in self.draws)
        return [float(row.sum()) / max(1, judgments) for row in self.log_likelihoods(learned, covariance_scales)]

    def mean_log_likelihood(self, learned: Learned, covariance_scale: float = 1.0) -> float:
        """The same at one covariance scale."""
        return self.mean_log_likelihoods(learned, (covariance_scale,))[0]


def log_likelihood(beliefs: Beliefs, model: ChoiceModel, crowd: Crowd) -> Tensor:
    """Log predictive probability (N,), nats, of the answers of ``crowd`` given ``beliefs`` about their people."""
    x, w = gauss_hermite(NODES)
    who, v = crowd.people, crowd.differences
    total = torch.full((len(v),), -torch.inf, dtype=torch.float64)
    for c in range(beliefs.means.shape[1]):
        for j, node in enumerate(beliefs.nodes):
            centre = (v * beliefs.means[who, c, j]).sum(1) + model.side_bias
            spread = ((beliefs.covariances[who, c, j] @ v[..., None]).squeeze(2) * v).sum(1).clamp_min(0).sqrt()
            given = model.log_likelihood(centre + x[:, None] * spread, crowd.outcomes, float(node.exp()))
            shared = beliefs.shares[who, c, j].log() + (w.log()[:, None] + given).logsumexp(0)
            total = torch.logaddexp(total, shared)
    return total


def inner_folds(judged: Judgments, new_prompts: bool, generator: torch.Generator) -> list[InnerFold]:
    """One per fold of the people of ``judged``."""
    parts = folds(judged.size, judged.prompts, new_prompts, generator)
    return [InnerFold.of(judged, part, generator) for part in parts]


def _few_of_each(people: Tensor, eligible: Tensor, generator: torch.Generator) -> Tensor:
    """At most ANSWERS, and at most half, of each person's eligible rows at random: bool (N,)."""
    key = torch.rand(len(people), generator=generator) + (~eligible).double()
    count = torch.bincount(people[eligible], minlength=int(people.max()) + 1 if len(people) else 0)
    return eligible & (rank_within(people, key) < (count[people] // 2).clamp(max=ANSWERS))
