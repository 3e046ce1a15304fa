"""The feature vector f(x, y) ∈ R^F that every head is linear in.

f = (surface features of y, relation of y to x, principal components of the encoder's vector of y). Relation features
tie a response to the conversation it answers: echo of the user's words, relative length and relevance (cosine).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reward_bases.sources.surface import RELATION_NAMES, SURFACE_NAMES, relation, surface
from reward_bases.text import Conversation

CONVERSATION_CHARACTERS = 4000
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
    """Names of the F features when ``components`` principal components are kept."""
    embedded = tuple(f"embedding_{i}" for i in range(components))
    return (*SURFACE_NAMES, *RELATION_NAMES, "relevance", *embedded)


def conversation_text(conversation: Conversation) -> str:
    """The string the encoder reads for a conversation."""
    return conversation.window(CONVERSATION_CHARACTERS)


def features(
    conversations: Sequence[Conversation],
    responses: Sequence[str],
    conversation_vectors: Tensor,
    response_vectors: Tensor,
    components: Tensor,
) -> Tensor:
    """f (n, F) float64 from n conversations and responses, their unit vectors (n, d) and principal axes (p, d)."""
    asked, said = conversation_vectors.double(), response_vectors.double()
    plain = [
        surface(response) + relation(conversation.last_user, response)
        for conversation, response in zip(conversations, responses, strict=True)
    ]
    relevance = (asked * said).sum(-1, keepdim=True)
    shaped = torch.tensor(plain, dtype=torch.float64).reshape(len(plain), len(SURFACE_NAMES) + len(RELATION_NAMES))
    return torch.cat([shaped, relevance, said @ components.double().T], dim=1)
