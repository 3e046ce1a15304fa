"""The questions that may be asked: every pair of answers to one prompt of the bank's part ``questions``."""

from collections.abc import Set
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from reward_bases.artifact import Artifact
from reward_bases.bank import BankAnswer, BankPrompt

PART = "questions"


@dataclass(frozen=True, eq=False)
class Pool:
    """``pairs`` and, in the same order, their ``differences`` (N, K); ``targets`` (T, K) stand for served pairs."""

    pairs: tuple[tuple[BankPrompt, BankAnswer, BankAnswer], ...]
    differences: Tensor
    targets: Tensor

    @classmethod
    def of(cls, artifact: Artifact) -> "Pool":
        prompts = artifact.bank.part(PART)
        pairs = tuple(
            (prompt, first, second) for prompt in prompts for first, second in combinations(prompt.answers, 2)
        )
        rows = [artifact.bank_phi[first.id] - artifact.bank_phi[second.id] for _, first, second in pairs]
        # Neighbours among a reference prompt's responses: disjoint pairs, so none counts twice.
        served = artifact.reference[:, 0::2] - artifact.reference[:, 1::2]
        return cls(pairs, torch.stack(rows), served.flatten(0, 1))

    def allowed(self, used: Set[str]) -> Tensor:
        """Bool (N,): the pairs of prompts whose ids are not ``used``."""
        return torch.tensor([prompt.id not in used for prompt, _, _ in self.pairs])
