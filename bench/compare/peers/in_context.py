"""A language model as the judge of what a person prefers, given the person's answers as examples in its prompt.

Sources: Brown et al. (2020), Language models are few-shot learners; Dong, Hu and Collier (2024), Can LLM be a
personalized judge?; both orders of a pair as in Zheng et al. (2023), Judging LLM-as-a-judge, §3.4.

The judge reads each target pair as A, B and as B, A. With z = log P(A) − log P(B), nats,

    P(left is preferred) = σ((z with left as A − z with left as B) / 2)

so that what the judge adds to the letter A cancels. Nothing is learned from the training people, and no setting is
tuned. Ties are examples too. Random questions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.compare.judges.opening import JudgeName, opened
from bench.compare.judges.prompts import Wording
from bench.compare.peers.linear import inside, random_row
from bench.compare.world import Judgments, Pairs, World, texts_of


@dataclass(frozen=True, eq=False)
class InContextBelief:
    """``answers`` of every person as the judge reads them, the oldest first."""

    wording: Wording
    answers: tuple[tuple[str, ...], ...]

    def choose(self, person: int, pool: Pairs, allowed: Tensor, generator: torch.Generator) -> int:
        """Any allowed row."""
        return random_row(allowed, generator)

    def prefer(self, person: int, targets: Pairs) -> Tensor:
        """P(left) (T,) of the pairs ``targets``; raises InvalidInput if one is too long for the judge."""
        return judged(self.wording, targets, lambda pair: self.wording.by_answers(self.answers[person], pair))


@dataclass(frozen=True, eq=False)
class InContext:
    """A judge and the texts of a world."""

    wording: Wording

    def believe_pairs(self, observed: Judgments) -> InContextBelief:
        """The answers ``observed`` as examples."""
        return InContextBelief(self.wording, worded(self.wording, observed))


def in_context(world: World, judge: JudgeName) -> InContext:
    """The judge reads the person's answers with every pair; raises InvalidInput if the world has no texts."""
    return InContext(Wording(opened(judge), texts_of(world)))


def worded(wording: Wording, observed: Judgments) -> tuple[tuple[str, ...], ...]:
    """Everybody's answers as texts, in the order in which they were given."""
    answers: tuple[list[str], ...] = tuple([] for _ in range(observed.size))
    numbers = (observed.people, observed.pairs.left, observed.pairs.right, observed.outcomes.column)
    for person, left, right, column in torch.stack(numbers, 1).tolist():
        answers[person].append(wording.answer(left, right, column))
    return tuple(map(tuple, answers))


def judged(wording: Wording, targets: Pairs, prompt_of: Callable[[str], str]) -> Tensor:
    """P(left) (T,) from both orders of the ``targets``; ``prompt_of`` a pair's text is what the judge reads."""
    sides = torch.stack([targets.left, targets.right], 1).tolist()
    orders = [*sides, *([right, left] for left, right in sides)]
    odds = wording.judge.log_odds([prompt_of(wording.pair(first, second)) for first, second in orders])
    return inside(((odds[: len(sides)] - odds[len(sides) :]) / 2).sigmoid())
