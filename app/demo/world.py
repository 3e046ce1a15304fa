"""The demo's people and its test: hidden tastes over recorded traits, and held-out pairs that nothing was fitted on.

People weigh traits as written into the bank's answers; neither they nor the labels ever see φ. The test pairs are all
pairs of answers to a test prompt, sides in a fixed random order; a person is tested on those their taste tells apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from elicitation.choice import Choice
from elicitation.simulate import TraitPerson, draw_people
from reward_bases.bank import Bank, BankPrompt

Levels = Mapping[str, int]


@dataclass(frozen=True)
class Test:
    """Test answers (n,) with trait ``levels``, the rows of each prompt in ``groups``, and the sides of all pairs."""

    prompts: tuple[str, ...]
    completions: tuple[str, ...]
    levels: tuple[Levels, ...]
    groups: tuple[tuple[int, ...], ...]
    left: Tensor
    right: Tensor

    @classmethod
    def of(cls, prompts: Sequence[BankPrompt], generator: torch.Generator) -> "Test":
        rows = [(prompt, answer) for prompt in prompts for answer in prompt.answers]
        position = {answer.id: i for i, (_, answer) in enumerate(rows)}
        groups = tuple(tuple(position[answer.id] for answer in prompt.answers) for prompt in prompts)
        pairs = torch.tensor([pair for group in groups for pair in combinations(group, 2)])
        swapped = torch.rand(len(pairs), generator=generator) < 0.5
        pairs[swapped] = pairs[swapped].flip(1)
        return cls(
            tuple(prompt.conversation.last_user for prompt, _ in rows),
            tuple(answer.text for _, answer in rows),
            tuple(answer.traits for _, answer in rows),
            groups,
            pairs[:, 0],
            pairs[:, 1],
        )


@dataclass(frozen=True)
class Person:
    """A simulated person: utilities (n,) of the test answers, and labels of the test pairs they can tell apart."""

    user_id: str
    taste: TraitPerson
    utilities: Tensor
    pairs: Tensor
    truth: Tensor
    noisy: Tensor

    def auc(self, rewards: Tensor, test: Test, noisy: bool) -> float:
        """Area under the ROC curve of reward differences against which side this person prefers."""
        gap = (rewards[test.left] - rewards[test.right])[self.pairs]
        return float(roc_auc_score(self.noisy if noisy else self.truth, gap))

    def picked(self, rewards: Tensor, test: Test) -> Tensor:
        """Utility (prompts,) of the answer with the highest reward to each test prompt."""
        return torch.stack([self.utilities[list(g)][rewards[list(g)].argmax()] for g in test.groups])


def meet(bank: Bank, traits: Sequence[str], count: int, test: Test, prefix: str, seed: int) -> tuple[Person, ...]:
    """``count`` people with tastes over ``traits``, calibrated on the pairs that questions can show."""
    generator = torch.Generator().manual_seed(seed)
    shown = [
        difference(left.traits, right.traits)
        for prompt in bank.part("questions")
        for left, right in combinations(prompt.answers, 2)
    ]
    tastes = draw_people(traits, count, shown, generator)
    return tuple(_person(f"{prefix}-{i:03d}", taste, test, generator) for i, taste in enumerate(tastes))


def difference(left: Levels, right: Levels) -> dict[str, float]:
    """Trait levels of left minus right."""
    return {trait: float(level - right[trait]) for trait, level in left.items()}


def _person(user_id: str, taste: TraitPerson, test: Test, generator: torch.Generator) -> Person:
    utilities = torch.tensor([taste.utility(levels) for levels in test.levels], dtype=torch.float64)
    gaps = utilities[test.left] - utilities[test.right]
    pairs = torch.nonzero(gaps.abs() > 1e-9).flatten()
    chosen = [
        taste.choose(difference(test.levels[i], test.levels[j]), generator) is Choice.LEFT
        for i, j in zip(test.left[pairs].tolist(), test.right[pairs].tolist(), strict=True)
    ]
    return Person(user_id, taste, utilities, pairs, gaps[pairs] > 0, torch.tensor(chosen))
