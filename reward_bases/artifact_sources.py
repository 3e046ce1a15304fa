"""The sources of an artifact: those whose columns its basis weighs, in that order."""

from reward_bases.artifact import Artifact
from reward_bases.sources.embedding import Vectors
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.opening import PinnedSource
from reward_bases.sources.source import Source


def sources_of(artifact: Artifact, vectors: Vectors) -> tuple[Source, ...]:
    """Text and encoder, over ``vectors`` of texts, then those that the card pins; they are opened when first asked."""
    basis = artifact.basis
    return *text_and_encoder(vectors, basis.encoder_sha256, basis.components), *pinned_sources(artifact)


def pinned_sources(artifact: Artifact) -> tuple[PinnedSource, ...]:
    """Those that the card pins."""
    return tuple(PinnedSource(entry) for entry in artifact.sources)
