"""Tie and side bias of a choice model, the same for all tastes, by maximum likelihood."""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elicitation.choice import OUTCOMES, Choice, ChoiceModel, Outcomes

SAME = OUTCOMES.index(Choice.SAME)
NO_TIES = 1e-6
"""Davidson's ν if there are no ties at all; its likelihood then has no maximum."""


def with_constants(model: ChoiceModel, utilities: Tensor, outcomes: Outcomes, sides: bool) -> ChoiceModel:
    """``model`` with the tie and, if pairs have ``sides``, the side bias of answers to utilities (N,), nats."""
    tied = bool((outcomes.column == SAME).any())
    raw = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([raw], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        u = utilities + raw[1] * sides
        log_tie = raw[0] if tied else torch.tensor(NO_TIES, dtype=torch.float64).log()
        logits = torch.stack([u / 2, log_tie.expand_as(u), -u / 2], dim=1)
        value: Tensor = cross_entropy(logits, outcomes.column)
        value.backward()
        return value

    optimiser.step(loss)
    log_tie, bias = raw.tolist()
    return replace(model, tie=math.exp(log_tie) if tied else NO_TIES, side_bias=bias * sides)
