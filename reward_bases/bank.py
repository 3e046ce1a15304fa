"""The question bank: prompts written for Keel, each with several good answers that differ by design.

Parts are fixed in the file: ``heads`` teach the trait heads, ``questions`` are asked of people, ``test`` is touched by
neither. ``traits`` records for every answer whether each trait was written high (1) or low (0).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from elicitation.errors import ArtifactMismatch, InvalidInput
from reward_bases.text import Conversation, digest

PARTS = ("heads", "questions", "test")


@dataclass(frozen=True)
class BankAnswer:
    id: str
    text: str
    traits: Mapping[str, int]


@dataclass(frozen=True)
class BankPrompt:
    id: str
    topic: str
    part: str
    conversation: Conversation
    answers: tuple[BankAnswer, ...]


@dataclass(frozen=True)
class Bank:
    """``version`` is the first 12 digits of the file's SHA-256; ``traits`` maps a trait to its (low, high) phrases."""

    version: str
    traits: Mapping[str, tuple[str, str]]
    left_out: tuple[str, ...]
    prompts: tuple[BankPrompt, ...]

    def part(self, name: str) -> tuple[BankPrompt, ...]:
        """The prompts of one part; raises InvalidInput for a name that is not a part."""
        if name not in PARTS:
            raise InvalidInput(f"part {name!r} is not one of {', '.join(PARTS)}")
        return tuple(prompt for prompt in self.prompts if prompt.part == name)


def load_bank(path: Path) -> Bank:
    """Read a bank file; raises ArtifactMismatch when ids repeat or a trait is missing from an answer."""
    text = path.read_text(encoding="utf-8")
    raw = json.loads(text)
    traits = {name: (phrases["low"], phrases["high"]) for name, phrases in raw["traits"].items()}
    prompts = tuple(
        BankPrompt(
            entry["id"],
            entry["topic"],
            entry["part"],
            Conversation.of(entry["prompt"]),
            tuple(BankAnswer(a["id"], a["text"], a["traits"]) for a in entry["answers"]),
        )
        for entry in raw["prompts"]
    )
    answers = [answer for prompt in prompts for answer in prompt.answers]
    if len({answer.id for answer in answers}) < len(answers):
        raise ArtifactMismatch(f"{path.name}: {len(answers)} answers share ids; each needs its own")
    for answer in answers:
        if set(answer.traits) != set(traits):
            raise ArtifactMismatch(f"{path.name}: answer {answer.id} records {sorted(answer.traits)}, not every trait")
    return Bank(digest(text)[:12], traits, tuple(raw["left_out"]), prompts)
