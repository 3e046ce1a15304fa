"""The head that is learned with an encoder's adapters, and its predictions of people whose tastes it must infer."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from elicitation.choice import ChoiceModel, Outcomes
from elicitation.crowd import Crowd, infer_many, rank_within
from elicitation.population import Component, Population
from reward_bases.train.encoder.tuning_pairs import TuningPairs

HALF_TIES = ChoiceModel(tie=1e-12, lapse=0.0, log_consistency_std=0.0)
"""Davidson's model without room for ties: a tie then counts as half a choice of either side."""


@dataclass(frozen=True, eq=False)
class Head:
    """``scale`` s (), ``aggregate`` w (d,), ``directions`` B (K, d), ``tastes`` λ (P, K); float64."""

    scale: Tensor
    aggregate: Tensor
    directions: Tensor
    tastes: Tensor

    @property
    def learned(self) -> dict[str, Tensor]:
        return {"aggregate": self.aggregate, "directions": self.directions, "tastes": self.tastes}

    def parts(self, differences: Tensor) -> Tensor:
        """s·(wᵀx, Bx) of vector differences x (N, d): (N, 1 + K)."""
        return self.scale * differences @ torch.cat([self.aggregate[None], self.directions]).T

    def utilities(self, differences: Tensor, people: Tensor) -> Tensor:
        """z (N,), nats."""
        parts = self.parts(differences)
        return parts[:, 0] + (parts[:, 1:] * self.tastes[people]).sum(1)

    def held_out(self, differences: Tensor, pairs: TuningPairs) -> dict[str, float]:
        """Accuracy and log-likelihood of every second judgment of these people, predicted from their others."""
        parts = self.parts(differences)
        _, people = pairs.people.unique(return_inverse=True)
        asked = rank_within(people) % 2 == 0
        known, k = pairs.where(~asked), parts.shape[1]
        mean, variance = torch.zeros(k, dtype=torch.float64), torch.ones(k, dtype=torch.float64)
        mean[0], variance[0] = 1.0, 0.0
        outcomes = Outcomes(known.outcomes, 1 - known.outcomes.double(), torch.zeros(len(known.left)).double())
        crowd = Crowd(parts[~asked], people[~asked], outcomes, int(people.max()) + 1)
        beliefs = infer_many(Population((Component(1.0, mean, torch.diag(variance)),)), HALF_TIES, crowd)
        tastes = torch.einsum("pcj,pcjk->pk", beliefs.shares, beliefs.means)
        return _figures((parts * tastes[people]).sum(1)[asked], pairs.wins[asked])


def log_likelihood(utilities: Tensor, wins: Tensor) -> Tensor:
    """(N,) nats; a tie is half of either."""
    return wins * logsigmoid(utilities) + (1 - wins) * logsigmoid(-utilities)


def _figures(utilities: Tensor, wins: Tensor) -> dict[str, float]:
    """Accuracy on the judgments that are no ties, mean log-likelihood (nats) of all, and their number."""
    decided = wins != 0.5
    misses = ((utilities.sign() + 1) / 2 - wins).abs()[decided]
    return {
        "accuracy": float(1 - misses.mean()) if len(misses) else 0.5,
        "log_likelihood": float(log_likelihood(utilities, wins).mean()),
        "judgments": len(wins),
    }
