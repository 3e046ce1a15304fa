"""People held out within training: what was learned from the others is scored on them.

Those of a fold teach nothing: up to ``ANSWERS`` judgments of each are read as answers, and the log-likelihood of their
other judgments scores what was learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.crowd import Beliefs, Crowd, infer_many, rank_within
from elicitation.empirical import scaled
from elicitation.quadrature import gauss_hermite
from reward_bases.train.data.judged import Judged
from reward_bases.train.model.learn import Learned
from reward_bases.train.validate.folds import Fold, folds

ANSWERS = 10
READINGS = 2
"""How often a developing person's answers are drawn anew."""
NODES = 16


@dataclass(frozen=True, eq=False)
class Development:
    """``teach``: the judgments to learn from; ``readings`` of the others: (told, kept), to be read and predicted."""

    teach: Judged
    readings: tuple[tuple[Judged, Judged], ...]

    @classmethod
    def of(cls, judged: Judged, fold: Fold, generator: torch.Generator) -> "Development":
        """With people and prompts of the ``fold`` left out."""
        own = fold.people[judged.people]
        rest, old = judged.where(own), ~fold.new[own]
        readings = []
        for _ in range(READINGS):
            told = _few_of_each(rest.people, old, generator)
            kept = ~old if bool(fold.new.any()) else ~told
            readings.append((rest.where(told).of_people(fold.people), rest.where(kept).of_people(fold.people)))
        return cls(judged.where(~own & ~fold.new).of_people(~fold.people), tuple(readings))

    def unread(self) -> "Development":
        """The same with nothing told."""
        nothing = ((told.where(torch.zeros(len(told), dtype=torch.bool)), kept) for told, kept in self.readings)
        return Development(self.teach, tuple(nothing))

    def log_likelihoods(self, learned: Learned, strengths: Sequence[float]) -> Tensor:
        """Log-likelihood of the judgments kept, summed over each developing person's (S, P), nats, with the
        population's covariance times each of the S ``strengths``."""
        total = torch.zeros(len(strengths), self.readings[0][0].size, dtype=torch.float64)
        for told, kept in self.readings:
            answers, others, means = told.crowd(learned.heads), kept.crowd(learned.heads), None
            for row, strength in zip(total, strengths, strict=True):
                beliefs = infer_many(scaled(learned.population, strength), learned.model, answers, means)
                row.index_add_(0, kept.people, log_likelihood(beliefs, learned.model, others))
                means = beliefs.means
        return total

    def judgments(self) -> Tensor:
        """How many judgments of each developing person are kept, over all readings (P,)."""
        return torch.stack([torch.bincount(kept.people, minlength=kept.size) for _, kept in self.readings]).sum(0)

    def scores(self, learned: Learned, strengths: Sequence[float]) -> list[float]:
        """Mean log-likelihood of the judgments kept, nats, at each of the ``strengths``."""
        judgments = sum(len(kept) for _, kept in self.readings)
        return [float(row.sum()) / max(1, judgments) for row in self.log_likelihoods(learned, strengths)]

    def score(self, learned: Learned, strength: float = 1.0) -> float:
        """The same at one."""
        return self.scores(learned, (strength,))[0]


def log_likelihood(beliefs: Beliefs, model: ChoiceModel, crowd: Crowd) -> Tensor:
    """Log predictive probability (N,) of the answers of ``crowd`` by the people believed in, nats."""
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


def developments(judged: Judged, new_prompts: bool, generator: torch.Generator) -> list[Development]:
    """One per fold of the people of ``judged``."""
    parts = folds(judged.size, judged.prompts, new_prompts, generator)
    return [Development.of(judged, part, generator) for part in parts]


def _few_of_each(people: Tensor, eligible: Tensor, generator: torch.Generator) -> Tensor:
    """At most ANSWERS, and at most half, of each person's eligible rows by lot: bool (N,)."""
    key = torch.rand(len(people), generator=generator) + (~eligible).double()
    count = torch.bincount(people[eligible], minlength=int(people.max()) + 1 if len(people) else 0)
    return eligible & (rank_within(people, key) < (count[people] // 2).clamp(max=ANSWERS))
