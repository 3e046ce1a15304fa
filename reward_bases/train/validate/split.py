"""People and prompts held out of training and of the choice of settings, for the figures on the card.

Where a tenth of the people is too few to judge by, everybody is held out once: the people are divided into folds, and
a fold is judged by what is learned without it (cross-fitting; Stone, Cross-validatory Choice, 1974).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation.crowd import rank_within
from elicitation.errors import InvalidInput
from reward_bases.train.data.judgments import Judgments, Rows

PEOPLE = 0.1
LEAST_PEOPLE = 10
"""Fewer people are held out only if so many were more than a quarter."""
MOST_PEOPLE = 2000
PROMPTS = 0.2
FEWEST_PEOPLE = 10
FEWEST_PROMPTS = 10
"""With fewer prompts only people are held out."""
MOST_ANSWERS = 20

ENOUGH_PEOPLE, ENOUGH_JUDGMENTS = 100, 500
"""With fewer held out, people are judged in folds.

The gain of one judgment has a standard deviation of about 0.3 nats: 500 judgments tell a gain of 0.03 nats from none.
"""
FOLDS = 5
"""So that each fold teaches with four fifths of the people, and every prompt is held out once."""
FEWEST_JUDGMENTS = 8
"""In folds, a person with fewer judgments teaches only: too few to observe or to predict."""


@dataclass(frozen=True, eq=False)
class Split:
    """Judgments to learn from, to observe as answers, and to predict.

    Attributes:
        teach: the judgments to learn from.
        observed: judgments of held-out people to read as answers.
        held_out: judgments of the same people to predict.
        place: (N,) the order in which each person's observed judgments are read.
        teachers: (P,) bool, the people of ``teach``.
        new_prompts: whether the prompts of ``held_out`` are in neither of the others.
    """

    teach: Judgments
    observed: Judgments
    held_out: Judgments
    place: Tensor
    teachers: Tensor
    new_prompts: bool

    @classmethod
    def of(cls, judged: Judgments, generator: torch.Generator) -> "Split":
        """A seeded division; raises InvalidInput for too few people or nothing to predict."""
        if judged.size < FEWEST_PEOPLE:
            raise InvalidInput(f"{judged.size} people; some are held out, so give judgments of {FEWEST_PEOPLE} or more")
        count = min(MOST_PEOPLE, max(round(PEOPLE * judged.size), min(LEAST_PEOPLE, judged.size // 4)))
        held = _drawn(judged.size, count, generator)
        asked = judged.prompts.unique()
        new = torch.zeros(len(judged), dtype=torch.bool)
        if len(asked) >= FEWEST_PROMPTS:
            drawn = asked[torch.randperm(len(asked), generator=generator)[: round(PROMPTS * len(asked))]]
            new = torch.isin(judged.prompts, drawn)
        if not _divides(judged, held, new):
            new = torch.zeros_like(new)
        return cls.holding_out(judged, held, new, generator)

    @property
    def enough(self) -> bool:
        """Whether so many are held out that they can be judged by."""
        return int(self.held_out.people.unique().numel()) >= ENOUGH_PEOPLE and len(self.held_out) >= ENOUGH_JUDGMENTS

    @classmethod
    def holding_out(cls, judged: Judgments, held: Tensor, new: Tensor, generator: torch.Generator) -> "Split":
        """The division that holds out the people ``held`` (P,) and the judgments ``new`` (N,), if any are.

        Raises InvalidInput if that leaves nothing to predict.
        """
        rest, apart = judged.where(held[judged.people]).of_people(held), bool(new.any())
        new_rest = new[held[judged.people]]
        place = places(rest.people, ~new_rest, generator)
        known = torch.bincount(rest.people[~new_rest], minlength=rest.size)
        most = (known if apart else known // 2).clamp(max=MOST_ANSWERS)
        observed = ~new_rest & (place < most[rest.people])
        held_out = new_rest if apart else ~observed
        if not bool(held_out.any()):
            raise InvalidInput("the people held out have nothing to predict; give at least 2 judgments per person")
        return cls(
            judged.where(~held[judged.people] & ~new).of_people(~held),
            rest.where(observed),
            rest.where(held_out),
            place[observed],
            ~held,
            apart,
        )

    def over(self, items: Rows) -> "Split":
        """The same over other features of the same items."""
        return replace(
            self,
            teach=replace(self.teach, items=items),
            observed=replace(self.observed, items=items),
            held_out=replace(self.held_out, items=items),
        )

    def answers(self, count: int) -> Judgments:
        """The first ``count`` answers of everybody held out, or all answers of those who gave fewer."""
        return self.observed.where(self.place < count)


def tests(judged: Judgments, generator: torch.Generator) -> tuple[Split, ...]:
    """The split by which to judge or, where it holds out too few and folds hold out more, the splits of all folds."""
    one = Split.of(judged, generator)
    folds = () if one.enough else folds_of_people(judged, generator)
    return folds if sum(fold.observed.size for fold in folds) > one.observed.size else (one,)


def folds_of_people(judged: Judgments, generator: torch.Generator) -> tuple[Split, ...]:
    """Splits that hold out everybody with FEWEST_JUDGMENTS once and, if there are enough, every prompt once.

    None if so few people have as many that a fold would be empty.
    """
    fold = _fold_of_each(judged, generator)
    held = [fold == part for part in range(FOLDS)]
    asked, number = judged.prompts.unique(return_inverse=True)
    place = (torch.randperm(len(asked), generator=generator) % FOLDS)[number]
    new = [(place == part) & (len(asked) >= FEWEST_PROMPTS) for part in range(FOLDS)]
    if not all(_divides(judged, *both) for both in zip(held, new, strict=True)):
        new = [torch.zeros_like(part) for part in new]
    if not all(bool(part.any()) for part in held):
        return ()
    return tuple(Split.holding_out(judged, *both, generator) for both in zip(held, new, strict=True))


def _fold_of_each(judged: Judgments, generator: torch.Generator) -> Tensor:
    """A fold for each person (P,), −1 for those who are not judged."""
    able = torch.bincount(judged.people, minlength=judged.size) >= FEWEST_JUDGMENTS
    fold = torch.full((judged.size,), -1)
    fold[able] = torch.randperm(int(able.sum()), generator=generator) % FOLDS
    return fold


def _divides(judged: Judgments, held: Tensor, new: Tensor) -> bool:
    """Whether people ``held`` (P,) and judgments ``new`` (N,) leave something to predict, and to learn from."""
    rest = held[judged.people]
    return bool((rest & new).any()) and bool((~rest & ~new).any())


def places(people: Tensor, eligible: Tensor, generator: torch.Generator) -> Tensor:
    """Each row's place (N,) in a random order of its person's eligible rows; the other rows come after them."""
    key = torch.rand(len(people), generator=generator, dtype=torch.float64) + (~eligible).double()
    return rank_within(people, key)


def capped(judged: Judgments, most: int, generator: torch.Generator) -> Judgments:
    """At most ``most`` judgments of each person, drawn at random."""
    everything = torch.ones(len(judged), dtype=torch.bool)
    return judged.where(places(judged.people, everything, generator) < most)


def some_people(judged: Judgments, most: int, judgments: int, generator: torch.Generator) -> Judgments:
    """The judgments of at most ``most`` people drawn at random, as many as make about ``judgments`` in all."""
    order = torch.randperm(judged.size, generator=generator)
    total = torch.bincount(judged.people, minlength=judged.size)[order].cumsum(0)
    count = max(FEWEST_PEOPLE, min(most, int((total <= judgments).sum())))
    chosen = torch.zeros(judged.size, dtype=torch.bool)
    chosen[order[:count]] = True
    return judged if bool(chosen.all()) else judged.of_people(chosen)


def _drawn(size: int, count: int, generator: torch.Generator) -> Tensor:
    chosen = torch.zeros(size, dtype=torch.bool)
    chosen[torch.randperm(size, generator=generator)[:count]] = True
    return chosen
