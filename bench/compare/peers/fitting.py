"""The two fits that peers share: a joint one by gradient, and one person's logistic regression."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.compare.peers.answers import Answers
from elicitation.choice import ChoiceModel, Outcomes
from elicitation.crowd import Crowd, infer_many
from elicitation.population import Component, Population

LOGISTIC = ChoiceModel(tie=1e-12, side_bias=0.0, lapse=0.0, log_consistency_std=0.0)
"""As ties become rare, Davidson's likelihood of a tie becomes, a constant aside, that of half a win for each side."""


def descend(loss: Callable[[], Tensor], parameters: Sequence[Tensor], iterations: int) -> None:
    """Lower ``loss`` by LBFGS, at most ``iterations`` steps, from where the parameters stand."""
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.LBFGS(list(parameters), max_iter=iterations, line_search_fn="strong_wolfe", history_size=20)

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(evaluate)
    for parameter in parameters:
        parameter.requires_grad_(False)


def noise(*shape: int, seed: int, scale: float) -> Tensor:
    """A random start, float64."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def logistic(observed: Answers, ridge: float) -> Tensor:
    """Everybody's coefficients (P, K): maximum of Σ log-likelihood − ridge/2·|λ|²; a tie counts half for each side."""
    covariance = torch.eye(observed.features, dtype=torch.float64) / ridge
    prior = Population((Component(1.0, torch.zeros(observed.features, dtype=torch.float64), covariance),))
    towards = 2 * observed.wins - 1
    outcomes = Outcomes((1 - towards).long(), towards, torch.zeros_like(towards))
    crowd = Crowd(observed.differences[observed.pair], observed.people, outcomes, observed.size)
    return infer_many(prior, LOGISTIC, crowd).means[:, 0, 0]
