"""Spreads of people that were known before anybody judged, as a prior of the population's covariance.

ν people who differ as the prior says are counted beside the P people who judged. Of the block N of the heads of which
it speaks, with Σ0 = diag(std²),

    Σ'_NN = (P·Σ_NN + ν·Σ0) / (P + ν),

the posterior mode under an inverse Wishart prior (Gelman and others, Bayesian Data Analysis, section 3.6). Of the
other heads O it says nothing: their regression on N, B = Σ_ON·Σ_NN⁻¹, and what is left of their spread,
R = Σ_OO − B·Σ_NO, stay as they were:

    Σ'_ON = B·Σ'_NN,    Σ'_OO = B·Σ'_NN·Bᵀ + R.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from elicitation.population import Population


def with_prior(population: Population, spreads: Sequence[float], weight: float, people: int) -> Population:
    """The ``population`` of ``people`` who judged, with the prior counted as ``weight`` people.

    ``spreads`` are standard deviations, nats per unit, along the heads after the first.
    """
    if weight == 0:
        return population
    known = torch.zeros(population.k, dtype=torch.bool)
    known[1 : 1 + len(spreads)] = True
    prior = torch.tensor(spreads, dtype=torch.float64).square().diag()
    share = weight / (people + weight)
    return Population(
        tuple(
            replace(part, covariance=_blended(part.covariance, known, prior, share)) for part in population.components
        )
    )


def _blended(covariance: Tensor, known: Tensor, prior: Tensor, share: float) -> Tensor:
    """The covariance (K, K) whose block ``known`` is the ``prior`` to the given ``share``."""
    own = covariance[known][:, known]
    change = share * (prior - own)
    regression = torch.eye(len(covariance), int(known.sum()), dtype=torch.float64)
    regression[known] = torch.eye(int(known.sum()), dtype=torch.float64)
    regression[~known] = covariance[~known][:, known] @ torch.linalg.pinv(own, hermitian=True)
    moved: Tensor = covariance + regression @ change @ regression.T
    return (moved + moved.T) / 2
