"""The artifact and the encoder that a command works with: those shipped, or those in a folder of the user's own."""

import logging
import os
from pathlib import Path

from safetensors import SafetensorError

from elicitation.errors import InvalidInput, KeelError
from reward_bases.artifact import DEFAULT, Artifact, load_artifact
from reward_bases.sources.encoder import Encoder

LOG = logging.getLogger("keel")
REMEDY = "whoever can write them changes rewards; keel guard tune --write pins the guard, keel train everything"
UNREADABLE = (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError)
"""Errors of reading a folder that holds no artifact or a damaged one."""


def open_artifact(folder: Path | None) -> Artifact:
    """The artifact in ``folder``, by default the one shipped.

    Raises InvalidInput when it is missing or cannot be read, ArtifactMismatch when it contradicts its card.
    """
    place = folder or DEFAULT
    if not os.path.lexists(place / "card.json"):
        raise InvalidInput(f"basis {place} holds no card.json; name a folder that keel train wrote")
    try:
        artifact = load_artifact(place)
    except KeelError as error:
        raise type(error)(f"basis {place}: {error}") from error
    except UNREADABLE as error:
        raise InvalidInput(
            f"basis {place} cannot be read ({type(error).__name__}: {error}); restore it or train it again"
        ) from error
    if artifact.unpinned:
        LOG.warning("basis %s has no hash of: %s; %s", place, ", ".join(artifact.unpinned), REMEDY)
    return artifact


def open_encoder(artifact: Artifact, folder: Path | None) -> Encoder:
    """The encoder that the artifact's card names; a relative path is one inside ``folder``.

    Raises InvalidInput when it cannot be loaded and ArtifactMismatch when its weights are not the ones learned on.
    """
    # transformers takes long to import, and the service answers people before it has an encoder.
    from reward_bases.sources.encoder_files import load_encoder

    name = artifact.basis.encoder_name
    inside = (folder or DEFAULT) / name
    try:
        encoder = load_encoder(str(inside)) if inside.is_dir() else load_encoder(name, artifact.encoder_revision)
    except KeelError:
        raise
    except UNREADABLE as error:
        raise InvalidInput(
            f"encoder {name!r} of basis {folder or DEFAULT} cannot be loaded ({type(error).__name__}: {error}); "
            "restore it or train the basis again"
        ) from error
    artifact.require_encoder(encoder)
    return encoder
