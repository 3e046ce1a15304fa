"""People held out within training, to measure the heads and population learned from the others.

The people of a fold teach nothing. Up to ``ANSWERS`` judgments of each are read as answers, and the measure is the
log-likelihood of their other judgments. On new prompts passed votes are not among them: they say nothing that a head
could carry over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.crowd import Beliefs, Crowd, infer_many, rank_within
from elicitation.population import Population
from elicitation.quadrature import gauss_hermite
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.model.constants import NO_TIES
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

    def predicted_by(self, model: ChoiceModel) -> ChoiceModel:
        """The ``model`` given that nobody passes, where passed votes are not held out.

        Else the more a head said of everything, the more it would seem to know.
        """
        passes = bool(self.held_out.outcomes.ties.any())
        return replace(model, tie=NO_TIES) if self.held_out.votes and not passes else model

    def log_likelihoods(self, learned: Learned, populations: Sequence[Population]) -> Iterator[Tensor]:
        """Log-likelihood (N,) of the held-out judgments, nats, under one population after the other."""
        observed, held_out, means = self.observed.crowd(learned.heads), self.held_out.crowd(learned.heads), None
        for population in populations:
            beliefs = infer_many(population, learned.model, observed, means)
            yield log_likelihood(beliefs, self.predicted_by(learned.model), held_out)
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
            held_out = rest.where(~old).opinions if bool(fold.new.any()) else rest.where(~observed)
            draws.append(Draw(*(part.of_people(fold.people) for part in (rest.where(observed), held_out))))
        return cls(judged.where(~own & ~fold.new).of_people(~fold.people), tuple(draws))

    def without_answers(self) -> "InnerFold":
        """The same with nothing observed."""
        return InnerFold(self.teach, tuple(draw.without_answers for draw in self.draws))

    @property
    def held_out(self) -> int:
        """How many judgments are held out, over all draws."""
        return sum(len(draw.held_out) for draw in self.draws)

    @property
    def people(self) -> Tensor:
        """Whose judgments are held out (N,), over all draws."""
        return torch.cat([draw.held_out.people for draw in self.draws])

    @property
    def prompts(self) -> Tensor:
        """What they are about (N,)."""
        return torch.cat([draw.held_out.prompts for draw in self.draws])

    def log_likelihoods(self, learned: Learned, populations: Sequence[Population]) -> Tensor:
        """Log-likelihood (S, N) of the held-out judgments of all draws, nats, under each of the S ``populations``."""
        return torch.cat([torch.stack([*draw.log_likelihoods(learned, populations)]) for draw in self.draws], dim=1)

    def log_likelihoods_of(self, head: Tensor, model: ChoiceModel) -> Tensor:
        """Log-likelihood (N,) of the same, nats, by one ``head`` (F,) for everybody."""
        found = []
        for draw in self.draws:
            z = draw.held_out.crowd(head[None]).differences[:, 0] + model.side_bias
            found.append(draw.predicted_by(model).log_likelihood(z, draw.held_out.outcomes))
        return torch.cat(found)


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
    parts = folds(judged.size, judged.people, judged.prompts, new_prompts, generator)
    return [InnerFold.of(judged, part, generator) for part in parts]


def _few_of_each(people: Tensor, eligible: Tensor, generator: torch.Generator) -> Tensor:
    """At most ANSWERS, and at most half, of each person's eligible rows at random: bool (N,)."""
    key = torch.rand(len(people), generator=generator) + (~eligible).double()
    count = torch.bincount(people[eligible], minlength=int(people.max()) + 1 if len(people) else 0)
    return eligible & (rank_within(people, key) < (count[people] // 2).clamp(max=ANSWERS))
