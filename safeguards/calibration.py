"""Are predicted chances right? Errors of forecasts, and recalibration that no forecast takes part in itself.

Forecasts q of events y ∈ {0, 1} come in clusters (people) whose forecasts hang together. ``elicitation.statistics``
defines the Brier score, its skill and the ECE, which is taken over 10 bins.

Recalibration is cross-fitted: the map for a person's forecasts is learned from other people's. Both maps keep the mean:
what they are fitted on averages to its own base rate, isotonic regression because pooling adjacent violators does,
Platt's logistic regression because its intercept's score equation says so (it is fitted without penalty).
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from torch import Tensor

from elicitation.checks import require_finite, require_shape
from elicitation.errors import InvalidInput
from elicitation.statistics import brier, brier_skill, calibration_error

BINS = 10
FOLDS = 5
LEAST = 1e-6
"""Forecasts are kept this far from 0 and 1 where their log-odds are taken."""


class Recalibration(StrEnum):
    """ISOTONIC is any rising map; PLATT a straight line between log-odds."""

    ISOTONIC = "isotonic"
    PLATT = "platt"


@dataclass(frozen=True, eq=False)
class Forecasts:
    """N forecast chances and what happened.

    ``chance`` (N,) in [0, 1]; ``happened`` bool (N,); ``person`` (N,) long, any numbers; ``cohorts`` (N); ``distance``
    (N,) ≥ 0 from the texts that the forecaster learned from.
    """

    chance: Tensor
    happened: Tensor
    person: Tensor
    cohorts: tuple[str, ...]
    distance: Tensor

    def __post_init__(self) -> None:
        n = len(self.cohorts)
        for name in ("chance", "happened", "person", "distance"):
            require_shape(name, getattr(self, name), (n,))
        require_finite("chance", self.chance)
        if n and not 0 <= float(self.chance.min()) <= float(self.chance.max()) <= 1:
            raise InvalidInput(f"chances reach from {float(self.chance.min())} to {float(self.chance.max())}; not 0–1")

    def __len__(self) -> int:
        return len(self.cohorts)

    @property
    def outcome(self) -> Tensor:
        """(N,): 1 where it happened, else 0."""
        return self.happened.to(self.chance.dtype)

    @property
    def people(self) -> int:
        return len(self.person.unique())

    def where(self, kept: Tensor) -> "Forecasts":
        """The forecasts selected by ``kept`` bool (N,)."""
        cohorts = tuple(name for name, keep in zip(self.cohorts, kept.tolist(), strict=True) if keep)
        return Forecasts(self.chance[kept], self.happened[kept], self.person[kept], cohorts, self.distance[kept])

    @property
    def brier(self) -> float:
        return brier(self.chance, self.outcome)

    @property
    def brier_skill(self) -> float:
        return brier_skill(self.chance, self.outcome)

    def calibration_errors(self, times: Tensor) -> Tensor:
        """ECE (B,) with each of the P people counted ``times`` (B, P) often, in ascending order of their numbers."""
        owner = self.person.unique(return_inverse=True)[1]
        return calibration_error(self.chance, self.outcome, owner, times, BINS)


def recalibrated(forecasts: Forecasts, how: Recalibration, seed: int) -> Forecasts:
    """The forecasts, each mapped by what others' forecasts and outcomes say; folds of people are dealt by ``seed``.

    Raises InvalidInput for fewer than FOLDS people of either outcome.
    """
    for happened in (True, False):
        people = len(forecasts.person[forecasts.happened == happened].unique())
        if people < FOLDS:
            raise InvalidInput(f"{people} people with outcome {happened} < {FOLDS} needed to learn a map from others")
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    chance = forecasts.chance.clamp(LEAST, 1 - LEAST)
    if how is Recalibration.ISOTONIC:
        model, inputs, method = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip"), chance, "predict"
    else:
        model, inputs, method = LogisticRegression(C=np.inf), chance.logit(), "predict_proba"
    fitted = cross_val_predict(
        model,
        inputs[:, None].numpy(),
        forecasts.happened.long().numpy(),
        groups=forecasts.person.numpy(),
        cv=folds,
        method=method,
    )
    mapped = torch.from_numpy(fitted if fitted.ndim == 1 else fitted[:, 1]).double()
    return Forecasts(mapped, forecasts.happened, forecasts.person, forecasts.cohorts, forecasts.distance)
