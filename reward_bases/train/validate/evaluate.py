"""Personal scores and the aggregate side by side, on people and prompts held out of training.

Of every held-out person 0, 1, 2, … of their own judgments, drawn at random, are observed as answers. The same other
judgments are predicted each time. The aggregate is one Bradley–Terry head for everybody, learned from the same people.
Intervals are 95 %, by bootstrap over the held-out people.
"""

from collections.abc import Mapping
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
    """Figures on ``judgments`` of ``people`` held out; ``verdict`` is better, worse or unclear."""

    people: int
    judgments: int
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
        prompts = " and prompts" if self.new_prompts else ""
        return (
            f"Personal scores are {said} than scores without people's answers on this data: after {DECIDED_AT} answers "
            f"of held-out people{prompts}, {_compared(self.decisive.gain)} against the aggregate; "
            f"{_compared(self.decisive.added)} against no answers."
        )


def _compared(gain: Mapping[str, Interval]) -> str:
    nats, area = gain["log_likelihood"], gain["auc"]
    return (
        f"log-likelihood {nats.value:+.4f} nats per judgment ({nats.low:+.4f} to {nats.high:+.4f}) and "
        f"AUC {area.value:+.4f} ({area.low:+.4f} to {area.high:+.4f})"
    )


def evaluate(learned: Learned, aggregate: Tensor, split: Split, generator: torch.Generator) -> Evaluation:
    """``aggregate`` (F,) are the weights of everybody's head."""
    held_out = split.held_out
    weights = _draws(held_out, generator)
    z = held_out.crowd(aggregate[None]).differences[:, 0] + learned.model.side_bias
    common = measured(learned.model.probabilities(z), held_out, weights)
    observed = [split.answers(count) for count in ANSWERS]
    own = [measured(predicted(learned, read, held_out), held_out, weights) for read in observed]
    people = int((weights[0] > 0).sum())
    stages = [
        Stage(count, len(read) / max(people, 1), _intervals(one), _intervals(one, common), _intervals(one, own[0]))
        for count, read, one in zip(ANSWERS, observed, own, strict=True)
    ]
    return Evaluation(
        people=people,
        judgments=len(held_out),
        new_prompts=split.new_prompts,
        aggregate=_intervals(common),
        stages=tuple(stages),
    )


def _intervals(figures: Mapping[str, Tensor], base: Mapping[str, Tensor] | None = None) -> dict[str, Interval]:
    """Intervals of the figures (B,), or of their difference from those of ``base``."""
    return {name: Interval.of(figures[name] - base[name] if base else figures[name]) for name in MEASURES}


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


def measured(p: Tensor, held_out: Judgments, weights: Tensor) -> dict[str, Tensor]:
    """Every measure (B,) of the probabilities (N, 3); ``weights`` (B, P) say how often each person counts.

    Log-likelihood is that of the answers given, nats per judgment; the others are of the probability of left among
    the judgments that are no ties.
    """
    column, people = held_out.outcomes.column, held_out.people
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


def _draws(held_out: Judgments, generator: torch.Generator) -> Tensor:
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
