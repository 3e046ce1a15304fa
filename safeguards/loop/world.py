"""World of a closed loop, and its people.

Shapes: S seeds, U people a seed, P prompts, n candidates a prompt, K heads. Coefficients are in nats per spread.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.choice import ChoiceModel
from elicitation.errors import InvalidInput
from elicitation.population import Population
from safeguards.guard import Reference
from safeguards.policy import GuardPolicy
from safeguards.tradeoff import draw_people


@dataclass(frozen=True, eq=False)
class World:
    """The parts of a basis a loop is made of.

    The policy's reference set serves twice: its prompts are what people ask, and the guard is certified on it.
    ``truth`` and ``agreement`` are the heads (indices) that stand in for being right and for telling people what they
    want to hear; without the latter there are no flatterers.
    """

    policy: GuardPolicy
    population: Population
    model: ChoiceModel
    truth: int
    agreement: int | None

    @property
    def reference(self) -> Reference:
        return self.policy.reference

    @property
    def candidates(self) -> int:
        return self.reference.centred.shape[1]


@dataclass(frozen=True, eq=False)
class Crowd:
    """People of several seeds: tastes and strangers' tastes (S, U, K), the prompt (S, rounds) that everybody in a seed
    asks in a round, and the 10 pairs (S, U, 10, K) that each person is asked about beforehand."""

    tastes: Tensor
    strangers: Tensor
    prompts: Tensor
    pairs: Tensor
    seed: int

    @classmethod
    def drawn(cls, world: World, seeds: int, people: int, rounds: int, questions: int, seed: int) -> "Crowd":
        """People from the population, prompts and pairs from the reference set. Raises InvalidInput without any."""
        if min(seeds, people - 1, rounds) < 1:
            raise InvalidInput(f"{seeds} seeds of {people} people and {rounds} rounds; a loop needs 1, 2 and 1 or more")
        generator = torch.Generator().manual_seed(seed)
        mean, covariance = world.population.mean, world.population.covariance
        drawn = [draw_people(mean, covariance, seeds * people, generator) for _ in range(2)]
        tastes, strangers = (one.view(seeds, people, -1) for one in drawn)
        prompts, candidates = world.reference.centred.shape[:2]
        size = (seeds, people, questions)
        asked = torch.randint(prompts, size, generator=generator)
        left = torch.randint(candidates, size, generator=generator)
        right = (left + torch.randint(1, candidates, size, generator=generator)) % candidates
        centred = world.reference.centred
        pairs = centred[asked, left] - centred[asked, right]
        return cls(tastes, strangers, torch.randint(prompts, (seeds, rounds), generator=generator), pairs, seed)
