"""The columns of a basis that Keel trains, F in number: those of the text, then those of the encoder.

``text_and_encoder`` gives the two sources in this order, which is that of ``feature_names`` and of the weights in a
basis folder. Training calls the columns features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reward_bases.sources.embedding import EncoderSource, Vectors, embedding_names
from reward_bases.sources.source import Source
from reward_bases.sources.text import TEXT_NAMES, TextSource

ENDLESS = 1e9
LENGTHS = ("log_words", "log_length_ratio")
"""Features that are never clipped: a longer text stays longer."""


@dataclass(frozen=True)
class FeatureSpace:
    """Principal axes (p, d) and the range (F,) to which features are clipped; plain numbers where it is endless."""

    components: Tensor
    lowest: Tensor
    highest: Tensor

    @classmethod
    def unbounded(cls, components: Tensor) -> "FeatureSpace":
        endless = torch.full((len(feature_names(len(components))),), ENDLESS, dtype=torch.float64)
        return cls(components, -endless, endless)

    def within(self, lowest: Tensor, highest: Tensor) -> "FeatureSpace":
        """Clipped to a range (F,), but for lengths."""
        lowest, highest = lowest.clone(), highest.clone()
        lengths = [feature_names(0).index(name) for name in LENGTHS]
        lowest[lengths], highest[lengths] = -ENDLESS, ENDLESS
        return FeatureSpace(self.components, lowest, highest)

    def taught_on(self, features: Tensor) -> "FeatureSpace":
        """Clipped to the range of ``features`` (n, F), but for lengths."""
        return self.within(features.min(0).values, features.max(0).values)


def feature_names(components: int) -> tuple[str, ...]:
    """Names of the F columns when ``components`` principal components are kept."""
    return TEXT_NAMES + embedding_names(components)


def text_and_encoder(vectors: Vectors, sha256: str, components: Tensor) -> tuple[Source, Source]:
    """The sources of the text and of an encoder with the weights ``sha256`` on principal axes (p, d)."""
    return TextSource(), EncoderSource(vectors, sha256, components)
