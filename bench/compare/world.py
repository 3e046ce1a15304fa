"""What a suite consists of: people to learn from, and people held out who answer questions and are tested.

Items (responses, statements) are rows of a feature matrix that every method shares. A judgment compares the items
``left`` and ``right``; a vote judges ``left`` alone, its ``right`` is NOBODY, and its features count as zero.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.choice import Outcomes
from elicitation.crowd import Crowd
from elicitation.errors import InvalidInput

NOBODY = -1


@dataclass(frozen=True, eq=False)
class Pairs:
    """N pairs of items: ``left`` and ``right`` (N,) long, rows of the world's features; right may be NOBODY."""

    left: Tensor
    right: Tensor

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, rows: Tensor) -> "Pairs":
        return Pairs(self.left[rows], self.right[rows])


@dataclass(frozen=True, eq=False)
class Judgments:
    """N judgments of P people, sorted by person: ``people`` (N,) in 0…P−1, ``prompts`` (N,) number of the prompt."""

    pairs: Pairs
    people: Tensor
    prompts: Tensor
    outcomes: Outcomes
    size: int


@dataclass(frozen=True, eq=False)
class Menus:
    """Responses that a reward chooses from for one person, those to one prompt at a time.

    ``items`` (M,) are rows of the world's features, ``prompts`` (M,) numbers of their prompts, ``worth`` (M,) float64
    what they are worth to the person.
    """

    items: Tensor
    prompts: Tensor
    worth: Tensor


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One person nobody learned from: ``pool`` and its ``outcomes`` (what they answer when asked), the prompt of each
    question in ``prompts``, and ``targets`` with ``labels`` (T,) bool: whether they prefer the left item (of a vote:
    whether they agree). ``person`` is the same for the same person in every seed of the world. ``menus`` are None where
    people compared two responses at a time and no more is known."""

    pool: Pairs
    prompts: Tensor
    outcomes: Outcomes
    targets: Pairs
    labels: Tensor
    person: int
    menus: Menus | None = None


@dataclass(frozen=True, eq=False)
class World:
    """One seed of a suite: ``features`` (M, F) float64, ``served`` the pairs a deployed reward would be used on.

    ``length`` is the column of the features that counts length, None where no column does. A seed that holds out
    several groups of people in turn has a world for each: ``fold`` numbers them from 0. ``texts`` are the prompt and
    the response of every item (M), None where features are given or people judge no responses.
    """

    name: str
    seed: int
    features: Tensor
    train: Judgments
    people: tuple[HeldOut, ...]
    served: Pairs
    length: int | None
    fold: int = 0
    texts: tuple[tuple[str, str], ...] | None = None

    @property
    def by_heart(self) -> bool:
        """Whether every item is a feature of its own, so that nothing is known of an item nobody judged."""
        return torch.equal(self.features, torch.eye(len(self.features), dtype=torch.float64))

    def differences(self, pairs: Pairs) -> Tensor:
        """Features of left minus right (N, F)."""
        return differences(self.features, pairs)


def texts_of(world: World) -> tuple[tuple[str, str], ...]:
    """Prompt and response of every item (M); raises InvalidInput where the world has none."""
    if world.texts is None:
        raise InvalidInput(
            f"{world.name} has no texts of compared responses for a judge to read; leave out --judge, or run it on "
            "llmfao, captions, mtbench or pairs of responses"
        )
    return world.texts


def differences(features: Tensor, pairs: Pairs) -> Tensor:
    """Features (M, F) of left minus right (N, F); a missing right item counts as zero."""
    right = torch.where((pairs.right == NOBODY)[:, None], torch.zeros_like(features[:1]), features[pairs.right])
    return features[pairs.left] - right


def crowd(features: Tensor, judgments: Judgments) -> Crowd:
    """The judgments as differences of features."""
    return Crowd(differences(features, judgments.pairs), judgments.people, judgments.outcomes, judgments.size)
