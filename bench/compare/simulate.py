"""A method's trajectory through a world: everybody is asked one question at a time, predictions are noted in between.

Answers are the recorded ones. All methods play with the same seeds: what a rule draws for a person's k-th question, and
which answers are flipped, depends on the world, the person and k alone.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.compare.method import FeatureBelief, Method, PairBelief, PairMethod, over_pairs
from bench.compare.policy import chosen
from bench.compare.world import HeldOut, Judgments, Pairs, World
from elicitation.choice import OUTCOMES, Outcomes
from elicitation.errors import InvalidInput

STAGES = (0, 1, 2, 3, 5, 10, 20)
"""Numbers of answers after which people's targets are predicted."""


@runtime_checkable
class Personal(Protocol):
    """A belief that can tell what it thinks of a person apart from what it thinks of everybody."""

    def personal(self, person: int, targets: Tensor) -> Tensor:
        """(λ_u − λ̄)ᵀv before any guard, over its posterior standard deviation (T,), for differences v (T, F)."""
        ...


@dataclass(frozen=True)
class Distortion:
    """What is done to recorded answers before they are given: all turned round, or a share of each person's flipped."""

    turned: bool = False
    flipped: float = 0.0


AS_RECORDED = Distortion()


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What came of it, for P people with N targets, person after person.

    ``people`` (P,) their numbers in the world's name; ``owners`` (N,) in 0…P−1; ``labels`` (N,) whether left is
    preferred; ``predictions`` P(left is preferred) (N,) per stage; ``asked`` the rows of each person's pool in order;
    ``best`` the worth (P, n) of what is chosen for each person out of as many candidates as ``SIZES`` says, per
    stage; ``personal`` (N,) after the last stage, where the belief is Personal; ``milliseconds`` per question, which
    is the choice and the reading of the answer before it.
    """

    world: str
    seed: int
    fold: int
    method: str
    distortion: Distortion
    people: NDArray[np.int64]
    owners: NDArray[np.int64]
    labels: NDArray[np.bool_]
    predictions: dict[int, NDArray[np.float64]]
    best: dict[int, NDArray[np.float64]]
    asked: tuple[tuple[int, ...], ...]
    personal: NDArray[np.float64] | None
    milliseconds: float


def play(
    world: World,
    method: Method | PairMethod,
    name: str,
    stages: Sequence[int] = STAGES,
    distortion: Distortion = AS_RECORDED,
) -> Trajectory:
    """Ask everybody up to the last of the ``stages``; whoever has nothing left to be asked keeps their answers.

    Raises InvalidInput for a question that was not allowed and for predictions that are no probabilities.
    """
    interview, playing = _Interview(world, distortion), over_pairs(method, world)
    predictions: dict[int, NDArray[np.float64]] = {}
    best: dict[int, NDArray[np.float64]] = {}
    seconds = 0.0
    for k in range(max(stages) + 1):
        started = time.perf_counter()
        belief = playing.believe_pairs(interview.observed())
        believing = time.perf_counter() - started
        if k in stages:
            predictions[k] = _predictions(world, belief, name)
            best[k] = chosen(world.people, belief, predictions[k])
        if k < max(stages):
            seconds += believing + interview.ask(belief, name)
    questions = sum(map(len, interview.asked))
    counts = torch.tensor([len(person.labels) for person in world.people])
    return Trajectory(
        world=world.name,
        seed=world.seed,
        fold=world.fold,
        method=name,
        distortion=distortion,
        people=np.array([person.person for person in world.people], dtype=np.int64),
        owners=torch.arange(len(counts)).repeat_interleave(counts).numpy(),
        labels=torch.cat([person.labels for person in world.people]).numpy(),
        predictions=predictions,
        best=best,
        asked=tuple(map(tuple, interview.asked)),
        personal=_personal(world, belief),
        milliseconds=1000 * seconds / max(questions, 1),
    )


class _Interview:
    """Who was asked what so far."""

    def __init__(self, world: World, distortion: Distortion) -> None:
        self.world = world
        self.outcomes = [distorted(world, person, distortion) for person in world.people]
        self.asked: list[list[int]] = [[] for _ in world.people]

    def observed(self) -> Judgments:
        """Everybody's answers so far."""
        rows = [torch.tensor(asked, dtype=torch.long) for asked in self.asked]
        people = list(zip(self.world.people, rows, strict=True))
        given = [outcomes[asked] for outcomes, asked in zip(self.outcomes, rows, strict=True)]
        return Judgments(
            Pairs(
                torch.cat([person.pool.left[asked] for person, asked in people]),
                torch.cat([person.pool.right[asked] for person, asked in people]),
            ),
            torch.arange(len(rows)).repeat_interleave(torch.tensor([len(asked) for asked in rows])),
            torch.cat([person.prompts[asked] for person, asked in people]),
            Outcomes(
                torch.cat([outcomes.column for outcomes in given]),
                torch.cat([outcomes.towards for outcomes in given]),
                torch.cat([outcomes.strength for outcomes in given]),
            ),
            len(rows),
        )

    def ask(self, belief: PairBelief, name: str) -> float:
        """One more question to everybody who has one left; returns the seconds that choosing took."""
        seconds = 0.0
        for number, person in enumerate(self.world.people):
            asked = self.asked[number]
            if len(asked) == len(person.pool):
                continue
            allowed = open_questions(person.prompts, asked)
            generator = seeded("question", self.world.name, self.world.seed, person.person, len(asked))
            started = time.perf_counter()
            row = belief.choose(number, person.pool, allowed, generator)
            seconds += time.perf_counter() - started
            if not 0 <= row < len(allowed) or not bool(allowed[row]):
                raise InvalidInput(
                    f"{name} chose question {row} of person {person.person}, which is not allowed; "
                    f"choose among the {int(allowed.sum())} that are"
                )
            asked.append(int(row))
        return seconds


def open_questions(prompts: Tensor, asked: Sequence[int]) -> Tensor:
    """Which questions (n,) bool may come next: not asked yet, and on the prompts (n,) that were used least."""
    free = torch.ones(len(prompts), dtype=torch.bool)
    free[list(asked)] = False
    uses = torch.bincount(prompts[list(asked)], minlength=int(prompts.max()) + 1)[prompts]
    return free & (uses == uses[free].min())


def distorted(world: World, person: HeldOut, distortion: Distortion) -> Outcomes:
    """The person's answers as they will be given; the answers flipped at a small share are so at every larger one."""
    outcomes = person.outcomes
    order = torch.randperm(len(person.pool), generator=seeded("flip", world.name, world.seed, person.person))
    turned = torch.zeros(len(person.pool), dtype=torch.bool)
    turned[order[: round(distortion.flipped * len(order))]] = True
    turned ^= distortion.turned
    return Outcomes(
        torch.where(turned, len(OUTCOMES) - 1 - outcomes.column, outcomes.column),
        torch.where(turned, -outcomes.towards, outcomes.towards),
        outcomes.strength,
    )


def seeded(*parts: object) -> torch.Generator:
    """A generator that depends on the parts alone, on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _predictions(world: World, belief: PairBelief, name: str) -> NDArray[np.float64]:
    parts = [belief.prefer(number, p.targets) for number, p in enumerate(world.people)]
    values: NDArray[np.float64] = torch.cat(parts).to(torch.float64).numpy()
    if not ((values >= 0) & (values <= 1)).all():
        raise InvalidInput(f"{name} predicts values from {values.min()} to {values.max()}; probabilities lie in [0, 1]")
    return values


def _personal(world: World, belief: PairBelief) -> NDArray[np.float64] | None:
    if not isinstance(belief, FeatureBelief) or not isinstance(belief.belief, Personal):
        return None
    parts = [belief.belief.personal(number, world.differences(p.targets)) for number, p in enumerate(world.people)]
    return torch.cat(parts).numpy()
