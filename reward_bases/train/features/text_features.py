"""Features of texts: an encoder, the bank read by it, and the heads that the bank's traits teach."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from reward_bases.artifact import DEFAULT, load_artifact
from reward_bases.bank import Bank, load_bank
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import FeatureSpace, feature_names
from reward_bases.train.features.describe import NamedDirections, joined, surface
from reward_bases.train.features.space import Scaled
from reward_bases.train.features.store import feature_table
from reward_bases.train.features.vectors import Progress, VectorCache
from reward_bases.traits.heads import TRAITS
from reward_bases.traits.pairs import chosen_inverse_ridge, spread_of
from reward_bases.traits.traits import BankTable, learn_trait, principal_axes


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """``space`` clips nothing; ``answers`` (n, F) are the features of the bank's answers in their order."""

    encoder: Encoder
    bank: Bank
    space: FeatureSpace
    answers: Tensor

    @classmethod
    def of(cls, encoder: Encoder, vectors: VectorCache, folder: Path, encoding: Progress) -> "TextFeatures":
        """The bank under ``encoder``; the shipped encoder has the shipped axes, another one its own.

        Features are kept in ``folder``; ``encoding`` counts texts.
        """
        bank, shipped = load_bank(DEFAULT / "bank.json"), load_artifact().basis
        said = [answer.text for prompt in bank.prompts for answer in prompt.answers]
        axes = shipped.components
        if encoder.sha256 != shipped.encoder_sha256:
            table = BankTable.of(bank, torch.zeros(len(said), 0))
            rows = table.rows("heads")
            axes = principal_axes(vectors.of(said, encoding)[rows], table.prompts[rows], len(axes))
        space = FeatureSpace.unbounded(axes)
        asked = [prompt.conversation for prompt in bank.prompts]
        owner = [i for i, prompt in enumerate(bank.prompts) for _ in prompt.answers]
        items = torch.stack([torch.tensor(owner), torch.arange(len(said))], dim=1)
        features = feature_table(asked, said, items, vectors, space, folder, encoding)
        return cls(encoder, bank, space, features.rows(torch.arange(len(said))))

    def within(self, scaled: Scaled) -> BankTable:
        """The bank, clipped as ``scaled`` clips."""
        return BankTable.of(self.bank, self.answers.clamp(scaled.lowest, scaled.highest))

    def traits(self, table: BankTable) -> NamedDirections:
        """The shipped designed heads, taught again in this space; one spread of the bank each."""
        ridges = zip(TRAITS, self._inverse_ridges, strict=True)
        weights = torch.stack([learn_trait(table, trait, ridge) for trait, ridge in ridges])
        weights = weights / spread_of(table.features @ weights.T, table.prompts)[:, None]
        return NamedDirections(
            TRAITS, tuple(self.bank.traits[trait] for trait in TRAITS), weights, torch.ones(len(TRAITS)).bool()
        )

    @cached_property
    def _inverse_ridges(self) -> list[float]:
        """Of TRAITS; chosen once, on answers that nothing clips, since ranges differ little between folds of people."""
        table = BankTable.of(self.bank, self.answers)
        return [chosen_inverse_ridge(table.pairs("heads", trait), table.scale()) for trait in TRAITS]

    def named_directions(self, traits: NamedDirections) -> NamedDirections:
        """Traits and countable features: all directions that a head can resemble."""
        return joined(traits, surface(feature_names(0), traits.weights.shape[1]))


def bank_reference(table: BankTable) -> Tensor:
    """The bank's answers (P, n, F), n of every prompt."""
    return table.features.reshape(int(table.prompts.max()) + 1, -1, table.features.shape[1])


def shipped_spreads() -> tuple[float, ...]:
    """How far the shipped population's people differ along each of TRAITS, nats per spread of the bank's answers."""
    shipped = load_artifact()
    heads = [[head.name for head in shipped.basis.heads].index(trait) for trait in TRAITS]
    said = [answer.id for prompt in shipped.bank.prompts for answer in prompt.answers]
    prompts = torch.tensor([i for i, prompt in enumerate(shipped.bank.prompts) for _ in prompt.answers])
    units = spread_of(torch.stack([shipped.bank_phi[one] for one in said]), prompts)
    std = shipped.population.covariance.diagonal().sqrt() * units
    return tuple(float(std[head]) for head in heads)
