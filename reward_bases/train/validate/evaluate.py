"""Personal scores and the aggregate side by side, on people and prompts held out of training.

Of every held-out person 0, 1, 2, … of their own judgments, drawn at random, are observed as answers. The same other
judgments are predicted each time. The aggregate is one Bradley–Terry head for everybody, learned from the same people.
Intervals are 95 %, by bootstrap over the held-out people. Where these were held out in folds, the predictions of all
folds count as one; an AUC then also compares judgments that two fits predicted. Intervals of differences are then
``widening`` times as wide as the bootstrap's: it sees which people are judged, not which people were learned from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elicitation.choice import Outcomes
from elicitation.crowd import Crowd, infer_many
from elicitation.statistics import (
    Interval,
    auc,
    calibration_error,
    everybody_first,
    person_weights,
    weighted_mean,
)
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.model.learn import Learned
from reward_bases.train.validate.inner_fold import log_likelihood
from reward_bases.train.validate.split import Split

ANSWERS = (0, 1, 2, 3, 5, 10, 20)
"""Numbers of observed answers; the others must gain on 0."""
DECIDED_AT = 10
"""The number of answers after which the card says whether personal scores are better."""
MEASURES = ("auc", "accuracy", "log_likelihood", "brier", "ece")
DRAWS = 1000
BINS = 15
PEOPLE_AT_ONCE = 500
LEAST = 1e-12


@dataclass(frozen=True)
class Stage:
    """Figures after ``answers`` answers; ``read`` is the average number, as some people gave fewer.

    ``gain`` is the difference from the aggregate, ``added`` the difference from personal scores without answers.
    """

    answers: int
    read: float
    personal: Mapping[str, Interval]
    gain: Mapping[str, Interval]
    added: Mapping[str, Interval]


@dataclass(frozen=True)
class Evaluation:
    """Figures on ``judgments`` of ``people`` held out, at once or in ``folds``; ``verdict``: better, worse or unclear.

    ``unjudged`` others had too few judgments to be in a fold, or none there to predict.
    """

    people: int
    judgments: int
    folds: int
    unjudged: int
    new_prompts: bool
    aggregate: Mapping[str, Interval]
    stages: tuple[Stage, ...]

    @property
    def decisive(self) -> Stage:
        return next(stage for stage in self.stages if stage.answers == DECIDED_AT)

    @property
    def verdict(self) -> str:
        """Whether DECIDED_AT answers make scores better in log-likelihood than the aggregate and than no answers."""
        gains = [kind["log_likelihood"] for kind in (self.decisive.gain, self.decisive.added)]
        if all(gain.low > 0 for gain in gains):
            return "better"
        return "worse" if any(gain.high < 0 for gain in gains) else "unclear"

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        said = {"better": "better", "worse": "worse", "unclear": "not clearly better"}[self.verdict]
        return (
            f"Personal scores are {said} than scores without people's answers on this data: after up to {DECIDED_AT} "
            f"answers of held-out people, {_compared(self.decisive.gain)} against the aggregate; "
            f"{_compared(self.decisive.added)} against no answers. {self.basis}"
        )

    @property
    def basis(self) -> str:
        """By whom and by how much the verdict was found."""
        folds = "" if self.folds == 1 else f" in {self.folds} folds"
        prompts = " and prompts" if self.new_prompts else ""
        left = f" {self.unjudged:,} others had too few judgments to be tested." if self.unjudged else ""
        return (
            f"It is judged by {self.judgments:,} judgments of {self.people:,} people; people{prompts} were held out"
            f"{folds}.{left}"
        )


def _compared(gain: Mapping[str, Interval]) -> str:
    nats, area = gain["log_likelihood"], gain["auc"]
    return (
        f"log-likelihood {nats.value:+.4f} nats per judgment ({nats.low:+.4f} to {nats.high:+.4f}) and "
        f"AUC {area.value:+.4f} ({area.low:+.4f} to {area.high:+.4f})"
    )


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities (N, 3) of left, same and right for the judgments held out by a split.

    Attributes:
        people: (N,) who of the ``size`` people held out judged.
        column: (N,) which outcome they chose.
        aggregate: by one head for everybody.
        personal: after each of ANSWERS.
        read: how many answers were observed in all, at each of ANSWERS.
        new_prompts: whether the prompts were held out too.
    """

    people: Tensor
    size: int
    column: Tensor
    aggregate: Tensor
    personal: tuple[Tensor, ...]
    read: tuple[int, ...]
    new_prompts: bool


def predict(learned: Learned, aggregate: Tensor, split: Split) -> Predictions:
    """``aggregate`` (F,) are the weights of everybody's head."""
    held_out = split.held_out
    z = held_out.crowd(aggregate[None]).differences[:, 0] + learned.model.side_bias
    observed = [split.answers(count) for count in ANSWERS]
    return Predictions(
        held_out.people,
        held_out.size,
        held_out.outcomes.column,
        learned.model.probabilities(z),
        tuple(predicted(learned, read, held_out) for read in observed),
        tuple(len(read) for read in observed),
        split.new_prompts,
    )


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of disjoint people as one, the people numbered one part after another."""
    first = torch.tensor([0, *(part.size for part in parts)]).cumsum(0).tolist()
    return Predictions(
        torch.cat([part.people + shift for part, shift in zip(parts, first, strict=False)]),
        first[-1],
        torch.cat([part.column for part in parts]),
        torch.cat([part.aggregate for part in parts]),
        tuple(torch.cat(each) for each in zip(*(part.personal for part in parts), strict=True)),
        tuple(sum(each) for each in zip(*(part.read for part in parts), strict=True)),
        parts[0].new_prompts,
    )


def evaluate(parts: Sequence[Predictions], everybody: int, generator: torch.Generator) -> Evaluation:
    """Figures on the predictions of one split, or of all folds of ``everybody``, a number of people."""
    every = joined(parts)
    weights = _draws(every, generator)
    common = measured(every.aggregate, every, weights)
    own = [measured(p, every, weights) for p in every.personal]
    people = int((weights[0] > 0).sum())
    wide = widening(len(parts))
    stages = [
        Stage(count, read / max(people, 1), _intervals(one), _apart(one, common, wide), _apart(one, own[0], wide))
        for count, read, one in zip(ANSWERS, every.read, own, strict=True)
    ]
    return Evaluation(
        people=people,
        judgments=len(every.people),
        folds=len(parts),
        unjudged=everybody - people if len(parts) > 1 else 0,
        new_prompts=every.new_prompts,
        aggregate=_intervals(common),
        stages=tuple(stages),
    )


def widening(folds: int) -> float:
    """Factor on the width of a difference's interval, 1 for a single split.

    Folds share most of what they are learned from, so what one of them learned by chance the others learned too. With J
    folds the variance of the mean is 1/J + n₂/n₁ in place of 1/J, where n₂/n₁ = 1/(J − 1) people are tested per person
    learned from (Nadeau and Bengio, Inference for the generalization error, 2003).
    """
    return 1.0 if folds == 1 else (1 + folds / (folds - 1)) ** 0.5


def _intervals(figures: Mapping[str, Tensor]) -> dict[str, Interval]:
    """Intervals of the figures (B,)."""
    return {name: Interval.of(figures[name]) for name in MEASURES}


def _apart(figures: Mapping[str, Tensor], base: Mapping[str, Tensor], wide: float) -> dict[str, Interval]:
    """Intervals of the figures' differences (B,) from those of ``base``, their ends ``wide`` times as far away."""
    differences = {name: figures[name] - base[name] for name in MEASURES}
    return {name: _widened(Interval.of(every), wide) for name, every in differences.items()}


def _widened(one: Interval, wide: float) -> Interval:
    low, high = (end if wide == 1.0 else one.value + wide * (end - one.value) for end in (one.low, one.high))
    return Interval(one.value, low, high)


def predicted(learned: Learned, observed: Judgments, held_out: Judgments) -> Tensor:
    """Probabilities (N, 3) of left, same and right for ``held_out``, given the ``observed`` answers of the people."""
    read, asked = observed.crowd(learned.heads), held_out.crowd(learned.heads)
    chunks = zip(read.chunks(PEOPLE_AT_ONCE), asked.chunks(PEOPLE_AT_ONCE), strict=True)
    return torch.cat([_predicted(learned, known, unknown) for known, unknown in chunks])


def _predicted(learned: Learned, observed: Crowd, held_out: Crowd) -> Tensor:
    beliefs = infer_many(learned.population, learned.model, observed)
    towards = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
    answers = []
    for column in range(3):
        every = torch.full((len(held_out.people),), column)
        outcomes = Outcomes(every, towards[every], torch.zeros(len(every), dtype=torch.float64))
        asked = Crowd(held_out.differences, held_out.people, outcomes, held_out.size)
        answers.append(log_likelihood(beliefs, learned.model, asked).exp())
    return torch.stack(answers, dim=1)


def measured(p: Tensor, held_out: Predictions, weights: Tensor) -> dict[str, Tensor]:
    """Every measure (B,) of probabilities (N, 3); ``weights`` (B, P) say how often each person counts.

    Log-likelihood is that of the answers given, nats per judgment; the others are of the probability of left among
    the judgments that are no ties.
    """
    column, people = held_out.column, held_out.people
    decided = column != 1
    left = (p[:, 0] / (p[:, 0] + p[:, 2]).clamp_min(LEAST))[decided]
    label, who = (column[decided] == 0).double(), people[decided]
    right = ((left > 0.5) == (label > 0.5)).double() * (left != 0.5) + 0.5 * (left == 0.5)
    given = p.gather(1, column[:, None])[:, 0].clamp_min(LEAST).log()
    return {
        "auc": auc(left, label, who, weights),
        "accuracy": weighted_mean(right, who, weights),
        "log_likelihood": weighted_mean(given, people, weights),
        "brier": weighted_mean((left - label).square(), who, weights),
        "ece": calibration_error(left, label, who, weights, BINS),
    }


def _draws(held_out: Predictions, generator: torch.Generator) -> Tensor:
    """How often each person counts (1 + DRAWS, P): once, then as often as drawn; people without judgments never."""
    present = torch.bincount(held_out.people, minlength=held_out.size) > 0
    weights = torch.zeros(1 + DRAWS, held_out.size, dtype=torch.float64)
    weights[:, present] = everybody_first(person_weights(generator, DRAWS, int(present.sum())))
    return weights


def spoken(figures: Mapping[str, Interval]) -> dict[str, Any]:
    """As JSON, rounded; undefined figures are null."""

    def number(value: float) -> float | None:
        return round(value, 5) if value == value else None

    return {
        name: {"value": number(one.value), "low": number(one.low), "high": number(one.high)}
        for name, one in figures.items()
    }
