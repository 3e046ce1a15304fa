"""Texts to features for the build, with the encoder's vectors cached on disk by content hash."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from reward_bases.encoder import Encoder
from reward_bases.features import conversation_text, feature_names, features
from reward_bases.text import Conversation, digest

BATCH = 256
ENDLESS = 1e9


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

    def taught_on(self, features: Tensor) -> "FeatureSpace":
        """Clipped to the range of ``features`` (n, F), but for lengths: a longer text stays longer."""
        lowest, highest = features.min(0).values, features.max(0).values
        lengths = [feature_names(0).index(name) for name in ("log_words", "log_length_ratio")]
        lowest[lengths], highest[lengths] = -ENDLESS, ENDLESS
        return FeatureSpace(self.components, lowest, highest)


class Vectors:
    """Unit vectors of texts, encoded once and kept in ``<folder>/vectors.safetensors``."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self._encoder = encoder
        self._path = folder / f"vectors-{encoder.sha256[:12]}.safetensors"
        self._known: dict[str, Tensor] = load_file(self._path) if self._path.exists() else {}

    def of(self, texts: Sequence[str]) -> Tensor:
        """(n, d) float32 in the order of ``texts``."""
        missing = sorted({text for text in texts if digest(text) not in self._known}, key=len)
        batches = [missing[i : i + BATCH] for i in range(0, len(missing), BATCH)]
        for batch in track(batches, description="encoding", disable=not batches):
            vectors = self._encoder.encode(batch)
            self._known |= {digest(text): vector.clone() for text, vector in zip(batch, vectors, strict=True)}
        if missing:
            save_file(self._known, self._path)
        return torch.stack([self._known[digest(text)] for text in texts])

    def features(self, prompts: Sequence[str], responses: Sequence[str], space: FeatureSpace) -> Tensor:
        """Clipped f (n, F) of plain prompts and responses."""
        conversations = [Conversation.of(prompt) for prompt in prompts]
        asked = self.of([conversation_text(conversation) for conversation in conversations])
        f = features(conversations, responses, asked, self.of(responses), space.components)
        return f.clamp(space.lowest, space.highest)
