"""The questions that may be asked: every pair of answers to one prompt of the bank's part ``questions``."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from reward_bases.artifact import Artifact
from reward_bases.bank import BankAnswer, BankPrompt

PART = "questions"
SERVED_PART = "heads"
"""Stands for what will be served: good answers in many styles, of prompts that are never asked."""

Pair = tuple[BankPrompt, BankAnswer, BankAnswer]


@dataclass(frozen=True, eq=False)
class Pool:
    """``pairs`` and, in the same order, their ``differences`` (N, K); ``targets`` (T, K) stand for served pairs."""

    pairs: tuple[Pair, ...]
    differences: Tensor
    targets: Tensor

    @classmethod
    def of(cls, artifact: Artifact) -> "Pool":
        pairs = _pairs(artifact, PART)
        return cls(pairs, _differences(artifact, pairs), _differences(artifact, _pairs(artifact, SERVED_PART)))

    def allowed(self, used: Set[str]) -> Tensor:
        """Bool (N,): the pairs of prompts whose ids are not ``used``."""
        return torch.tensor([prompt.id not in used for prompt, _, _ in self.pairs])


def _pairs(artifact: Artifact, part: str) -> tuple[Pair, ...]:
    """Every pair of answers to one prompt of a part of the bank; raises InvalidInput where there is none."""
    prompts = artifact.bank.part(part)
    pairs = tuple((prompt, first, second) for prompt in prompts for first, second in combinations(prompt.answers, 2))
    if not pairs:
        raise InvalidInput(f"part {part!r} of the question bank has no prompt with two answers; add some")
    return pairs


def _differences(artifact: Artifact, pairs: Sequence[Pair]) -> Tensor:
    """φ_first − φ_second of every pair: (N, K)."""
    return torch.stack([artifact.bank_phi[first.id] - artifact.bank_phi[second.id] for _, first, second in pairs])
