"""Designed heads: what the bank's recorded traits teach, and how well that carries to the other parts."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reward_bases.bank import Bank
from reward_bases.sources.features import feature_names
from reward_bases.traits.pairs import Pairs, chosen_inverse_ridge, logistic_direction, spread_of, within_prompts


@dataclass(frozen=True)
class BankTable:
    """The bank as numbers: features (n, F), trait levels (n, T), prompt index (n,) and part of every answer."""

    traits: tuple[str, ...]
    features: Tensor
    levels: Tensor
    prompts: Tensor
    parts: tuple[str, ...]

    @classmethod
    def of(cls, bank: Bank, features: Tensor) -> "BankTable":
        rows = [(i, prompt.part, answer) for i, prompt in enumerate(bank.prompts) for answer in prompt.answers]
        traits = tuple(bank.traits)
        levels = torch.tensor([[answer.traits[trait] for trait in traits] for _, _, answer in rows])
        return cls(traits, features, levels, torch.tensor([i for i, _, _ in rows]), tuple(part for _, part, _ in rows))

    def rows(self, part: str) -> Tensor:
        return torch.tensor([i for i, name in enumerate(self.parts) if name == part])

    def pairs(self, part: str, trait: str) -> Pairs:
        rows = self.rows(part)
        return within_prompts(self.features[rows], self.levels[rows, self.traits.index(trait)], self.prompts[rows])

    def scale(self) -> Tensor:
        rows = self.rows("heads")
        return spread_of(self.features[rows], self.prompts[rows])


def principal_axes(vectors: Tensor, prompts: Tensor, count: int) -> Tensor:
    """Leading axes (count, d) of the within-prompt variation of vectors (n, d), largest entries positive."""
    centred = torch.cat([vectors[prompts == p] - vectors[prompts == p].mean(0) for p in prompts.unique()]).double()
    axes = torch.linalg.svd(centred, full_matrices=False)[2][:count]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    signed: Tensor = axes * largest.sign()
    return signed


def learn_trait(table: BankTable, trait: str, inverse_ridge: float | None = None) -> Tensor:
    """Weights (F,) of one trait's head, from the heads part alone; the inverse ridge is chosen unless it is given."""
    pairs, scale = table.pairs("heads", trait), table.scale()
    return logistic_direction(pairs, scale, inverse_ridge or chosen_inverse_ridge(pairs, scale))


def report_trait(table: BankTable, trait: str, direction: Tensor) -> dict[str, Any]:
    """Share of pairs ordered as designed on the parts the head never saw, beside two baselines."""
    best, sign = _best_single_feature(table.pairs("heads", trait), table.scale())
    single = torch.zeros_like(direction)
    single[best] = sign
    length = torch.zeros_like(direction)
    length[0] = table.pairs("heads", trait).accuracy(_unit(direction, 0)) - 0.5
    rows: dict[str, Any] = {"best_single_feature": feature_names(0)[best] if best < len(feature_names(0)) else best}
    for part in ("questions", "test"):
        pairs = table.pairs(part, trait)
        matched = pairs.where(table.pairs(part, "brevity").labels == 0)
        rows[part] = {
            "head": pairs.accuracy(direction),
            "head_length_matched": matched.accuracy(direction) if (matched.labels != 0).any() else None,
            "length_only": pairs.accuracy(length),
            "best_single": pairs.accuracy(single),
            "pairs": int((pairs.labels != 0).sum()),
        }
    return rows


def report_crosstalk(table: BankTable, directions: Tensor, part: str = "test") -> list[list[float]]:
    """Correlation (heads × traits) of a head's score differences with every trait's level differences."""
    scores = [table.pairs(part, table.traits[0]).differences @ direction for direction in directions]
    labels = [table.pairs(part, trait).labels for trait in table.traits]
    stacked = torch.corrcoef(torch.stack([*scores, *labels]))
    return [[round(float(x), 3) for x in row[len(scores) :]] for row in stacked[: len(scores)]]


def _unit(like: Tensor, index: int) -> Tensor:
    unit = torch.zeros_like(like)
    unit[index] = 1.0
    return unit


def _best_single_feature(pairs: Pairs, scale: Tensor) -> tuple[int, float]:
    accuracies = torch.tensor([pairs.accuracy(_unit(scale, i)) for i in range(len(scale))])
    best = int((accuracies - 0.5).abs().argmax())
    return best, 1.0 if accuracies[best] > 0.5 else -1.0
