"""Simulated people who judge recorded traits of responses and never see φ.

A person holds weights on a few designed traits (nats per trait level) and chooses by a logistic rule with a lapse,

    P(left) = (1 − LAPSE)·sigmoid(Σ_t weight_t·difference_t) + LAPSE/2,

the weights scaled so that over a pool of pairs the person repeats their own choice, p² + (1 − p)² on average, with
probability REPEAT. Pairs between which the person's traits do not differ are coin flips and left out of that average.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elicitation.choice import Choice
from elicitation.errors import InvalidInput

REPEAT = 0.85
LAPSE = 0.05
SCALE_MAX = 1e3
BISECTIONS = 60
DRAWS_MAX = 100


@dataclass(frozen=True)
class TraitPerson:
    """Someone whose taste is ``weights``: trait -> nats per level. A trait that is not recorded counts as level 0."""

    weights: Mapping[str, float]

    def utility(self, levels: Mapping[str, float]) -> float:
        """Utility in nats of a response with these trait levels, or of a difference of levels."""
        return sum(weight * levels.get(trait, 0.0) for trait, weight in self.weights.items())

    def choose(self, difference: Mapping[str, float], generator: torch.Generator) -> Choice:
        """LEFT or RIGHT for a pair with ``difference`` = trait levels of left minus right."""
        p_left = float(_p_left(torch.tensor(self.utility(difference), dtype=torch.float64)))
        drawn = float(torch.rand((), generator=generator, dtype=torch.float64))
        return Choice.LEFT if drawn < p_left else Choice.RIGHT


def repeat_rate(utilities: Tensor) -> float:
    """Probability that a choice is repeated, averaged over pairs with these utility differences (N,), nats."""
    p = _p_left(utilities)
    return float((p**2 + (1 - p) ** 2).mean())


def draw_people(
    traits: Sequence[str],
    n: int,
    pool_trait_differences: Sequence[Mapping[str, float]],
    generator: torch.Generator,
) -> tuple[TraitPerson, ...]:
    """``n`` people, each with weights of random sign and size on 2–4 of ``traits``, calibrated on the pool's pairs.

    Raises InvalidInput for fewer than 2 traits, or when the pool hardly ever tells people apart.
    """
    if len(traits) < 2:
        raise InvalidInput(f"{len(traits)} traits; a simulated person weighs at least 2")
    return tuple(_draw_person(traits, pool_trait_differences, generator) for _ in range(n))


def _draw_person(traits: Sequence[str], pool: Sequence[Mapping[str, float]], generator: torch.Generator) -> TraitPerson:
    for _ in range(DRAWS_MAX):
        person = _draw_taste(traits, generator)
        utilities = torch.tensor([person.utility(pair) for pair in pool], dtype=torch.float64)
        if bool((utilities != 0).any()):
            scale = _calibrate(utilities[utilities != 0])
            return TraitPerson({trait: scale * weight for trait, weight in person.weights.items()})
    raise InvalidInput(f"{len(pool)} pairs hardly differ in {', '.join(traits)}; widen the pool or the traits")


def _draw_taste(traits: Sequence[str], generator: torch.Generator) -> TraitPerson:
    count = int(torch.randint(2, min(4, len(traits)) + 1, (), generator=generator))
    chosen = torch.randperm(len(traits), generator=generator)[:count].tolist()
    sizes = 0.5 + torch.rand(count, generator=generator, dtype=torch.float64)
    signs = 2 * torch.randint(2, (count,), generator=generator) - 1
    return TraitPerson({traits[i]: w for i, w in zip(chosen, (sizes * signs).tolist(), strict=True)})


def _calibrate(utilities: Tensor) -> float:
    """The scale at which the repeat rate over ``utilities`` (N,), none of them 0, is REPEAT; it only rises."""
    low, high = 0.0, SCALE_MAX / float(utilities.abs().min())
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if repeat_rate(middle * utilities) < REPEAT else (low, middle)
    return high


def _p_left(utilities: Tensor) -> Tensor:
    return (1 - LAPSE) * torch.sigmoid(utilities) + LAPSE / 2
