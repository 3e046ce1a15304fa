"""Does φ see a stance, and along which direction? Every function works on one stratum; strata are never pooled.

Questions are put under two opposed stances of the user. With x the prompt, y a response, the *differences* (Q, 2, K)
are φ(x, agreeing y) − φ(x, other y) under either stance, and

    d = ½E[φ(x_pro, y_pro) − φ(x_pro, y_con) + φ(x_con, y_con) − φ(x_con, y_pro)]

is their mean: a difference in differences, in which what a response is worth by itself cancels where the same response
agrees with one stance and opposes the other. d is judged twice: its length, whitened by the within-prompt covariance S
(√(dᵀS⁻¹d)), against a null in which the labels of whole questions are permuted; and the probe S⁻¹d, cross-fitted by
question, by how often it ranks the agreeing response of a held-out question first.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from elicitation.norms import norm
from elicitation.statistics import percentiles, person_weights, win_share

PERMUTATIONS = 2000
REPLICATES = 2000
FOLDS = 10
COVERAGE = 0.95
QUESTIONS_MIN = 20
"""Fewer questions give no verdict."""


@dataclass(frozen=True, eq=False)
class Stance:
    """The direction d (K,), its whitened ``norm`` beside the 95th percentile of its ``null``, and the held-out probe:
    ``auc`` with the ends of its two-sided 95 % interval over questions.
    """

    direction: Tensor
    norm: float
    null: float
    auc: float
    auc_low: float
    auc_high: float
    questions: int

    @property
    def conclusive(self) -> bool:
        """Whether figures of this stratum mean anything: the probe's lower bound is above chance."""
        return self.questions >= QUESTIONS_MIN and self.auc_low > 0.5

    @property
    def active(self) -> bool:
        """Whether there is a direction to hold a band along: outside its null, and seen on held-out questions."""
        return self.conclusive and self.norm > self.null


def direction(differences: Tensor) -> Tensor:
    """d (K,) of differences (Q, 2, K)."""
    return differences.mean(dim=(0, 1))


def assess(differences: Tensor, within: Tensor, generator: torch.Generator) -> Stance:
    """Direction, null and held-out probe of differences (Q, 2, K) with S = ``within`` (K, K).

    Raises InvalidInput for other shapes, or fewer than FOLDS questions.
    """
    if differences.ndim != 3 or len(differences) < FOLDS or differences.shape[-1:] != within.shape[:1]:
        raise InvalidInput(
            f"differences {tuple(differences.shape)} and covariance {tuple(within.shape)}; stance probes need at "
            f"least {FOLDS} questions as (Q, stances, K) and (K, K)"
        )
    precision = torch.linalg.pinv(within, hermitian=True)
    d = direction(differences)
    wins = held_out_wins(differences, precision, generator)
    low, high = interval(wins[None], generator)
    return Stance(
        direction=d,
        norm=float(norm(d, precision)),
        null=float(null_norms(differences, precision, generator).quantile(COVERAGE)),
        auc=float(wins.mean()),
        auc_low=low,
        auc_high=high,
        questions=len(differences),
    )


def null_norms(differences: Tensor, precision: Tensor, generator: torch.Generator) -> Tensor:
    """Whitened lengths (PERMUTATIONS,) of d when each question's two labels are swapped by the toss of a coin."""
    contrasts = differences.mean(dim=1)
    signs = 2.0 * torch.randint(2, (PERMUTATIONS, len(contrasts)), generator=generator) - 1
    return norm(signs.to(contrasts.dtype) @ contrasts / len(contrasts), precision)


def held_out_wins(differences: Tensor, precision: Tensor, generator: torch.Generator) -> Tensor:
    """Per question (Q,) the share of its prompts whose agreeing response the probe of the other folds ranks first.

    A tie is half a win; the mean is the probe's AUC within prompts.
    """
    wins = torch.zeros(len(differences), dtype=differences.dtype)
    for held_out in folds(len(differences), FOLDS, generator):
        probe = precision @ direction(differences[~held_out])
        wins[held_out] = win_share(differences[held_out] @ probe)
    return wins


def folds(count: int, parts: int, generator: torch.Generator) -> list[Tensor]:
    """``parts`` masks, bool (count,), that are true for a random part each and together for all."""
    place = torch.randperm(count, generator=generator) % parts
    return [place == part for part in range(parts)]


def interval(values: Tensor, generator: torch.Generator, both: bool = False) -> tuple[float, float]:
    """Two-sided 95 % bootstrap interval of the mean of ``values`` (U, Q), drawing people U, or the questions when
    there is one row; with ``both`` people and questions at once.
    """
    by_question = both or len(values) == 1
    rows = _draws(len(values), generator, drawn=both or len(values) > 1)
    columns = _draws(values.shape[1], generator, drawn=by_question)
    return percentiles(((rows @ values) * columns).sum(dim=1), (1 - COVERAGE) / 2)


def _draws(count: int, generator: torch.Generator, drawn: bool) -> Tensor:
    """Weights (REPLICATES, count) of bootstrap samples; equal ones where nothing is drawn."""
    if not drawn:
        return torch.full((REPLICATES, count), 1 / count, dtype=torch.float64)
    return person_weights(generator, REPLICATES, count, each=1 / count)
