"""``bank``: simulated people over the shipped basis, so that what is compared is learning about people alone.

Features are φ of the bank's answers as shipped. People weigh two to four recorded traits, those that no head was
taught left out. Training people judge the prompts that the designed heads were taught on, held-out people are asked
about the ``questions`` part and tested on the ``test`` part. Every seed draws its own people.
"""

from pathlib import Path

import torch
from torch import Tensor

from bench.compare.world import World
from bench.compare.worlds.parts import QUESTIONS, TARGETS, TRAIN
from bench.compare.worlds.simulated import Design, Stage, within_prompts, world
from elicitation.simulate import TraitPerson, draw_people
from reward_bases.artifact import load_artifact

PARTS = {"heads": TRAIN, "questions": QUESTIONS, "test": TARGETS}
TEACHERS, HELD_OUT, HELD_OUT_QUICK = 200, 60, 15
FULL = Design(answers=40, shared=400, targets=300)
QUICK = Design(answers=40, shared=400, targets=100)


def worlds(seed: int, quick: bool, data: Path | None) -> tuple[World, ...]:
    """One world; ``data`` is not looked at."""
    generator = torch.Generator().manual_seed(seed)
    artifact = load_artifact()
    traits = [trait for trait in artifact.bank.traits if trait not in artifact.bank.left_out]
    rows = [(i, prompt.part, answer) for i, prompt in enumerate(artifact.bank.prompts) for answer in prompt.answers]
    prompts = torch.tensor([i for i, _, _ in rows])
    levels = torch.tensor([[answer.traits[trait] for trait in traits] for _, _, answer in rows], dtype=torch.float64)
    pairs = within_prompts(prompts, generator)
    stage = Stage(
        torch.stack([artifact.bank_phi[answer.id] for _, _, answer in rows]),
        artifact.basis.names.index("brevity"),
        pairs,
        levels[pairs.left] - levels[pairs.right],
        prompts[pairs.left],
        torch.tensor([PARTS[part] for _, part, _ in rows])[pairs.left],
        levels,
    )
    weights = _tastes(traits, stage.gaps[stage.parts == QUESTIONS], generator)
    tested = range(HELD_OUT_QUICK if quick else HELD_OUT)
    chosen = {seed * HELD_OUT + i: weights[TEACHERS + i] for i in tested}
    return (world("bank", seed, stage, weights[:TEACHERS], chosen, QUICK if quick else FULL, generator),)


def _tastes(traits: list[str], asked: Tensor, generator: torch.Generator) -> Tensor:
    """Weights (TEACHERS + HELD_OUT, T), calibrated on the pairs ``asked`` (N, T)."""
    shown = [dict(zip(traits, gap, strict=True)) for gap in asked.tolist()]
    people: tuple[TraitPerson, ...] = draw_people(traits, TEACHERS + HELD_OUT, shown, generator)
    weights = [[person.weights.get(trait, 0.0) for trait in traits] for person in people]
    return torch.tensor(weights, dtype=torch.float64)
