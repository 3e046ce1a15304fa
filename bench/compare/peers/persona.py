"""A language model describes a person's taste from their answers, then judges every pair by the description alone.

Sources: a persona for a judge as in Dong, Hu and Collier (2024), Can LLM be a personalized judge?; one written from a
person's comparisons as in Ryan et al. (2025), SynthesizeMe.

Ours: one description a person, of at most DESCRIPTION_TOKENS tokens, at temperature 0 and without a trial on training
people; no examples beside it. Without answers the judge reads NO_DESCRIPTION. The probability is that of
``bench.compare.peers.in_context``. Random questions.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.compare.judges.opening import JudgeName, opened
from bench.compare.judges.prompts import DESCRIPTION_TOKENS, NO_DESCRIPTION, Wording
from bench.compare.peers.in_context import judged, worded
from bench.compare.peers.linear import random_row
from bench.compare.world import Judgments, Pairs, World, texts_of


@dataclass(frozen=True, eq=False)
class PersonaBelief:
    """``answers`` of every person; ``descriptions`` are written when a person is first predicted."""

    wording: Wording
    answers: tuple[tuple[str, ...], ...]
    descriptions: dict[int, str] = field(default_factory=dict)

    def choose(self, person: int, pool: Pairs, allowed: Tensor, generator: torch.Generator) -> int:
        """Any allowed row."""
        return random_row(allowed, generator)

    def prefer(self, person: int, targets: Pairs) -> Tensor:
        """P(left) (T,) of the pairs ``targets``; raises InvalidInput if one is too long for the judge."""
        description = self.description(person)
        return judged(self.wording, targets, lambda pair: self.wording.by_description(description, pair))

    def description(self, person: int) -> str:
        """The person's taste in the judge's words."""
        if person not in self.descriptions:
            answers = self.answers[person]
            prompts = [self.wording.describing(answers)] if answers else []
            written = self.wording.judge.write(prompts, DESCRIPTION_TOKENS)
            self.descriptions[person] = "".join(written) or NO_DESCRIPTION
        return self.descriptions[person]


@dataclass(frozen=True, eq=False)
class Persona:
    """A judge and the texts of a world."""

    wording: Wording

    def believe_pairs(self, observed: Judgments) -> PersonaBelief:
        """The answers ``observed``, yet to be described."""
        return PersonaBelief(self.wording, worded(self.wording, observed))


def persona(world: World, judge: JudgeName) -> Persona:
    """The judge describes a person before it judges; raises InvalidInput if the world has no texts."""
    return Persona(Wording(opened(judge), texts_of(world)))
