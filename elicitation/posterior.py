"""Posterior of a person given their answers: Laplace's over λ, averaged over the consistency κ.

The solver is that of ``elicitation.crowd``: one person is a crowd of one. Every component of the population keeps the
moments of its Laplace posteriors over the nodes of κ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.choice import OUTCOMES, Choice, ChoiceModel, Outcomes, Strength, require_side
from elicitation.crowd import Beliefs, Crowd, consistency_nodes, infer_many
from elicitation.errors import InvalidInput
from elicitation.population import Component, Mixture, Population

STEP_TOLERANCE = 1e-10
"""Longest last step, in prior standard deviations."""
AT_ONCE = 5000
"""People whose posteriors are held in memory together."""
TINY = 1e-300
"""Stands in for the weight of a component that nothing speaks for."""


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
class Posterior(Mixture):
    """Belief about one person's λ, with κ integrated out, and the mean of log κ."""

    log_consistency: float

    @property
    def consistency(self) -> float:
        """κ, the factor between λᵀφ and the log-odds of this person's choices."""
        return math.exp(self.log_consistency)


def infer(population: Population, model: ChoiceModel, evidence: Evidence, start: Posterior | None = None) -> Posterior:
    """The posterior given all answers; ``start`` (an earlier posterior of the same population) only saves iterations.

    Without an answer that moves λ this is the population itself. Raises InvalidInput when sizes disagree and
    NotConverged when the mode is not found.
    """
    if start is not None and (len(start.components), start.k) != (len(population.components), population.k):
        raise InvalidInput(
            f"start has {len(start.components)} components of {start.k} heads; it is of another population"
        )
    near = None if start is None else torch.stack([part.mean for part in start.components])[None, :, None]
    return _inferred(population, model, [evidence], near)[0]


def infer_each(population: Population, model: ChoiceModel, evidence: Sequence[Evidence]) -> list[Posterior]:
    """Everybody's posterior, as ``infer`` has it up to rounding, by one call of the solver."""
    return _inferred(population, model, evidence, None)


def crowd_of(evidence: Sequence[Evidence]) -> Crowd:
    """One person's answers under another's; those that say nothing about λ are left out."""
    rows = [list(own.moving) for own in evidence]
    counts = torch.tensor([len(own) for own in rows])
    return Crowd(
        differences=torch.cat([own.differences[some] for own, some in zip(evidence, rows, strict=True)]),
        people=torch.arange(len(evidence)).repeat_interleave(counts),
        outcomes=Outcomes.of(
            [own.choices[row] for own, some in zip(evidence, rows, strict=True) for row in some],
            [own.strengths[row] for own, some in zip(evidence, rows, strict=True) for row in some],
        ),
        size=len(evidence),
    )


def posteriors(beliefs: Beliefs) -> list[Posterior]:
    """Everybody's posterior with log κ averaged out, per component the moments over the nodes."""
    weights = beliefs.shares.sum(-1)
    within = beliefs.shares / weights.clamp_min(TINY)[..., None]
    first = beliefs.means[:, :, :1]
    # From the first node's mean, so that a head on which all nodes agree stays as it is.
    means = first.squeeze(2) + torch.einsum("pcj,pcjk->pck", within, beliefs.means - first)
    apart = beliefs.means - means[:, :, None]
    covariances = torch.einsum("pcj,pcjkl->pckl", within, beliefs.covariances)
    covariances = covariances + apart.mT @ (within[..., None] * apart)
    covariances = (covariances + covariances.mT) / 2
    log_consistency = (beliefs.shares.sum(1) @ beliefs.nodes).tolist()
    parts = zip(weights.clamp(max=1.0).tolist(), means, covariances, strict=True)
    return [
        Posterior(tuple(Component(*part) for part in zip(*person, strict=True)), kappa)
        for person, kappa in zip(parts, log_consistency, strict=True)
    ]


def _inferred(
    population: Population, model: ChoiceModel, evidence: Sequence[Evidence], near: Tensor | None
) -> list[Posterior]:
    for own in evidence:
        require_shape("differences", own.differences, (None, population.k))
    prior = Posterior(population.components, 0.0)
    moved = [number for number, own in enumerate(evidence) if own.moving]
    found = dict.fromkeys(range(len(evidence)), prior)
    if moved:
        crowd = crowd_of([evidence[number] for number in moved])
        nodes = len(consistency_nodes(model)[0])
        starts = None if near is None else near.expand(-1, -1, nodes, -1)
        beliefs = (infer_many(population, model, part, starts, STEP_TOLERANCE) for part in crowd.chunks(AT_ONCE))
        found |= zip(moved, (one for some in beliefs for one in posteriors(some)), strict=True)
    return list(found.values())
