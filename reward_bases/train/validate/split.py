"""People and prompts that teach nothing and choose nothing, for the figures on the card."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elicitation.crowd import rank_within
from elicitation.errors import InvalidInput
from reward_bases.train.data.judged import Judged, Rows

PEOPLE = 0.1
LEAST_PEOPLE = 10
"""Fewer are held out only where that would be above a quarter."""
MOST_PEOPLE = 2000
PROMPTS = 0.2
FEWEST_PEOPLE = 10
FEWEST_PROMPTS = 10
"""With fewer prompts only people are held out."""
MOST_ANSWERS = 20


@dataclass(frozen=True, eq=False)
class Split:
    """``teach`` is learned from, ``teachers`` (P,) bool being its people; of the others ``told`` are read as answers,
    each person's in the order of ``place`` (N,), and ``kept`` are predicted. ``new_prompts``: those on prompts that
    neither ``teach`` nor ``told`` have.
    """

    teach: Judged
    told: Judged
    kept: Judged
    place: Tensor
    teachers: Tensor
    new_prompts: bool

    @classmethod
    def of(cls, judged: Judged, generator: torch.Generator) -> "Split":
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
        rest = held[judged.people]
        if not bool((rest & new).any()) or not bool((~rest & ~new).any()):
            new = torch.zeros_like(new)
        return cls._of(judged, held, new, generator)

    @classmethod
    def _of(cls, judged: Judged, held: Tensor, new: Tensor, generator: torch.Generator) -> "Split":
        rest, apart = judged.where(held[judged.people]).of_people(held), bool(new.any())
        new_rest = new[held[judged.people]]
        place = places(rest.people, ~new_rest, generator)
        known = torch.bincount(rest.people[~new_rest], minlength=rest.size)
        most = (known if apart else known // 2).clamp(max=MOST_ANSWERS)
        told = ~new_rest & (place < most[rest.people])
        kept = new_rest if apart else ~told
        if not bool(kept.any()):
            raise InvalidInput("the people held out have nothing to predict; give at least 2 judgments per person")
        return cls(
            judged.where(~held[judged.people] & ~new).of_people(~held),
            rest.where(told),
            rest.where(kept),
            place[told],
            ~held,
            apart,
        )

    def over(self, items: Rows) -> "Split":
        """The same over other features of the same items."""
        return replace(
            self,
            teach=replace(self.teach, items=items),
            told=replace(self.told, items=items),
            kept=replace(self.kept, items=items),
        )

    def answers(self, count: int) -> Judged:
        """The first ``count`` answers of everybody held out, or all of those who gave fewer."""
        return self.told.where(self.place < count)


def places(people: Tensor, eligible: Tensor, generator: torch.Generator) -> Tensor:
    """Each row's place (N,) in a drawing by lot among the eligible rows of its person; the others come after them."""
    key = torch.rand(len(people), generator=generator, dtype=torch.float64) + (~eligible).double()
    return rank_within(people, key)


def capped(judged: Judged, most: int, generator: torch.Generator) -> Judged:
    """At most ``most`` judgments of each person, drawn by lot."""
    everything = torch.ones(len(judged), dtype=torch.bool)
    return judged.where(places(judged.people, everything, generator) < most)


def some_people(judged: Judged, most: int, judgments: int, generator: torch.Generator) -> Judged:
    """The judgments of at most ``most`` people drawn by lot, and of no more than bring about ``judgments``."""
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
