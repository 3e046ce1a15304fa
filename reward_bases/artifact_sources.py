"""The sources of an artifact: those whose columns its basis weighs, in that order."""

from collections.abc import Mapping

from reward_bases.artifact import Artifact
from reward_bases.sources.embedding import Vectors
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.opening import OPENERS, Opener, PinnedSource
from reward_bases.sources.source import Source


def sources_of(artifact: Artifact, vectors: Vectors, openers: Mapping[str, Opener] = OPENERS) -> tuple[Source, ...]:
    """Text and encoder, over ``vectors`` of texts, then those that the card pins; they are opened when first asked."""
    basis = artifact.basis
    pinned = (PinnedSource(entry, openers) for entry in artifact.sources)
    return *text_and_encoder(vectors, basis.encoder_sha256, basis.components), *pinned
